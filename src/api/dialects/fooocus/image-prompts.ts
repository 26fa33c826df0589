import { findAddOn, installedAddOns } from '#api/models.ts';
import { AppError } from '#protocol/error.ts';
import type { ControlSpec } from '#protocol/job.ts';
import type { AddOnInfo, ModelInfo } from '#protocol/model.ts';
import type { ControlType } from './image-bodies.ts';
import type { ImagePrompt } from './input-images.ts';
import type { CommonRequest } from './schema.ts';

/** The ControlNet of a type: Fooocus's own file, or one whose name says that it is for the same. */
interface ControlNetwork {
  file: string;
  named: RegExp;
}

/** Files: Fooocus modules/config.py. */
const NETWORKS: Readonly<Record<ControlType, ControlNetwork>> = {
  PyraCanny: { file: 'control-lora-canny-rank128.safetensors', named: /canny/i },
  CPDS: { file: 'fooocus_xl_cpds_128.safetensors', named: /cpds/i },
};

/** Where the influence of a control image ends, and its weight. Source: Fooocus modules/flags.py, `default_parameters`. */
const DEFAULTS = { stop: 0.5, weight: 1 } as const;

/**
 * The control images of a request, brought to the size of what is generated and looked at there.
 * Source: Fooocus modules/async_worker.py, `apply_control_nets`.
 * @throws AppError `model_not_found` where no ControlNet for the type and the model is installed
 */
export function planControls(
  prompts: readonly ImagePrompt[],
  { advanced_params: advanced }: Pick<CommonRequest, 'advanced_params'>,
  model: ModelInfo,
  addOns: readonly AddOnInfo[],
): ControlSpec[] {
  return prompts.map(({ file, type, stop, weight }) => ({
    id: findNetwork(type, model, addOns).pack.id,
    image: file,
    fit: 'cover',
    preprocessor: {
      kind: 'fooocus',
      map: advanced.skipping_cn_preprocessor ? null : type,
      low: advanced.canny_low_threshold,
      high: advanced.canny_high_threshold,
    },
    strength: weight || DEFAULTS.weight,
    start: 0,
    end: stop || DEFAULTS.stop,
    balance: 'even',
    softness: advanced.controlnet_softness,
  }));
}

function findNetwork(type: ControlType, { pack }: ModelInfo, addOns: readonly AddOnInfo[]): AddOnInfo {
  const { file, named } = NETWORKS[type];
  const fits = ({ pack: { family } }: AddOnInfo) => family === null || family === pack.family;
  const own = findAddOn(addOns, 'controlnet', file);
  const found =
    own && fits(own)
      ? own
      : installedAddOns(addOns, 'controlnet').find(
          (addOn) => fits(addOn) && (named.test(addOn.pack.id) || named.test(addOn.pack.title)),
        );
  if (found) return found;
  throw new AppError(
    'model_not_found',
    `Image prompts of type ${type} need a ControlNet for ${pack.title}. Install ${file} in Models, or another one with “${type === 'CPDS' ? 'cpds' : 'canny'}” in its name.`,
  );
}
