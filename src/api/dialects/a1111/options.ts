import { pydantic1 } from '#api/fastapi.ts';
import { honoured, ignored, refused, type ParameterRule, type ParameterTable } from '#api/parameters.ts';
import { AppError } from '#protocol/error.ts';
import type { Settings, SettingValue } from '#protocol/settings.ts';
import { DEFAULT_OPTIONS } from './default-options.ts';

type Widen<T> = T extends boolean
  ? boolean
  : T extends number
    ? number
    : T extends string
      ? string
      : T extends null
        ? string | null
        : readonly SettingValue[];

export type OptionName = keyof typeof DEFAULT_OPTIONS;

/** All options with the values they have. */
export type Options = { [Name in OptionName]: Widen<(typeof DEFAULT_OPTIONS)[Name]> };

const OPTION_NAMES = new Set<string>(Object.keys(DEFAULT_OPTIONS));

export function isOption(name: string): name is OptionName {
  return OPTION_NAMES.has(name);
}

const HONOURED = [
  'samples_format',
  'grid_only_if_multiple',
  'n_rows',
  'jpeg_quality',
  'webp_lossless',
  'sd_model_checkpoint',
  'sd_checkpoint_hash',
  'emphasis',
  'comma_padding_backtrack',
  'CLIP_stop_at_last_layers',
  'randn_source',
  's_min_uncond',
  's_min_uncond_all',
  'use_old_karras_scheduler_sigmas',
  'return_grid',
  'enable_pnginfo',
  'infotext_styles',
  'live_previews_enable',
  'eta_ddim',
  'eta_ancestral',
  'ddim_discretize',
  's_churn',
  's_tmin',
  's_tmax',
  's_noise',
  'sigma_min',
  'sigma_max',
  'rho',
  'eta_noise_seed_delta',
  'always_discard_next_to_last_sigma',
  'sgm_noise_multiplier',
  'uni_pc_variant',
  'uni_pc_skip_type',
  'uni_pc_order',
  'uni_pc_lower_order_final',
  'sd_noise_schedule',
  'enable_quantization',
  'sd_vae',
  'sd_lora',
  'extra_networks_default_multiplier',
  'skip_early_cond',
  'beta_dist_alpha',
  'beta_dist_beta',
  'tiling',
  'token_merging_ratio',
] as const satisfies readonly OptionName[];

/** Whether an option that names a file names one. */
export const asksByName = (value: unknown) =>
  typeof value === 'string' && !['', 'none', 'automatic'].includes(value.toLowerCase());

const REFUSED: Partial<Record<OptionName, ParameterRule>> = {
  face_restoration: refused('face restoration'),
  sd_hypernetwork: refused('hypernetworks', asksByName),
};

/** Options of drawing over images, which text to image does without in the original too. */
const OF_OTHER_TASKS = /img2img|inpaint|^initial_noise_multiplier$|^interrogate_|^deepbooru_/;

/** What each option does here: for `POST /options` and for `override_settings`. */
export const optionTable: ParameterTable = Object.fromEntries(
  Object.entries(DEFAULT_OPTIONS).map(([name, initial]) => [
    name,
    REFUSED[name as OptionName] ??
      (HONOURED.some((own) => own === name)
        ? honoured
        : ignored(
            OF_OTHER_TASKS.test(name)
              ? 'nothing that is drawn from a text alone depends on it'
              : 'a setting of the original program or its page, without a counterpart here',
            (value) => JSON.stringify(value) !== JSON.stringify(initial),
          )),
  ]),
);

/**
 * A value as the option holds it.
 * @throws AppError `invalid_request` when it is of another type
 */
export function readOption(name: OptionName, value: unknown): SettingValue {
  const initial: unknown = DEFAULT_OPTIONS[name];
  const read = readAs(typeof initial, value);
  const fits =
    initial === null
      ? read === null || typeof read === 'string'
      : Array.isArray(initial)
        ? Array.isArray(read)
        : typeof read === typeof initial;
  if (!fits || !isSettingValue(read)) {
    throw new AppError('invalid_request', `option '${name}' cannot be ${JSON.stringify(value)}`, {
      detail: { exception: 'ValueError', status: 500 },
    });
  }
  return read;
}

function readAs(type: string, value: unknown): unknown {
  if (type === 'number') return pydantic1.number(value);
  if (type === 'boolean') return pydantic1.boolean(value);
  return type === 'string' ? pydantic1.string(value) : value;
}

function isSettingValue(value: unknown): value is SettingValue {
  return Array.isArray(value) ? value.every((item) => item === null || typeof item !== 'object') : true;
}

/** The options in force: the stock defaults, what the settings change, what a request changes. */
export function effectiveOptions(
  settings: Settings,
  overrides: Readonly<Record<string, unknown>> = {},
): Options {
  const changes: Partial<Record<OptionName, SettingValue>> = {};
  for (const [name, value] of [...Object.entries(settings), ...Object.entries(overrides)]) {
    if (isOption(name) && value !== null) changes[name] = readOption(name, value);
  }
  return { ...DEFAULT_OPTIONS, ...changes } as Options;
}
