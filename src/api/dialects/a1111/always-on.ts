import { missingCapability } from '#api/parameters.ts';
import { pythonFloat, type InfotextPair } from '#codecs/infotext.ts';
import { isRecord } from '#codecs/json.ts';
import type { MissingCapability } from '#protocol/capabilities.ts';
import type { SoftInpainting } from '#protocol/job.ts';
import { ADETAILER } from './adetailer-unit.ts';
import { CONTROLNET } from './controlnet-unit.ts';
import { httpException } from './errors.ts';
import { f } from './fields.ts';
import type { GenerationBody } from './generation-rows.ts';
import { namesFile } from './names-file.ts';
import { SAMPLERS, SCHEDULERS } from './samplers.ts';
import { checkbox, dropdown, ScriptArguments, slider, type ScriptControl } from './script-controls.ts';

/** The sliders of *Soft inpainting* with what they set (extensions-builtin/soft-inpainting). */
const SOFT_SLIDERS: readonly { sets: keyof SoftInpainting; control: ScriptControl }[] = [
  { sets: 'scheduleBias', control: slider('Schedule bias', 1, 0, 8, 0.1) },
  { sets: 'preservationStrength', control: slider('Preservation strength', 0.5, 0, 8, 0.05) },
  { sets: 'transitionContrastBoost', control: slider('Transition contrast boost', 4, 1, 32, 0.5) },
  { sets: 'maskInfluence', control: slider('Mask influence', 0, 0, 1, 0.05) },
  { sets: 'differenceThreshold', control: slider('Difference threshold', 0.5, 0, 8, 0.25) },
  { sets: 'differenceContrast', control: slider('Difference contrast', 2, 0, 8, 0.25) },
];

/** The stock scripts that are always on and have an effect here, by name, with their controls in the order of the arguments. */
const CONTROLS = {
  comments: [],
  refiner: [checkbox('Refiner'), { label: 'Checkpoint', value: '' }, slider('Switch at', 0.8, 0.01, 1, 0.01)],
  sampler: [
    slider('Sampling steps', 20, 1, 150, 1),
    dropdown(
      'Sampling method',
      SAMPLERS.map(({ name }) => name),
    ),
    dropdown(
      'Schedule type',
      SCHEDULERS.map(({ label }) => label),
    ),
  ],
  seed: [
    { label: 'Seed', value: -1 },
    checkbox('Extra'),
    { label: 'Variation seed', value: -1 },
    slider('Variation strength', 0, 0, 1, 0.01),
    slider('Resize seed from width', 0, 0, 2048, 8),
    slider('Resize seed from height', 0, 0, 2048, 8),
  ],
  'soft inpainting': [checkbox('Soft inpainting'), ...SOFT_SLIDERS.map(({ control }) => control)],
} as const satisfies Readonly<Record<string, readonly ScriptControl[]>>;

type AlwaysOnName = keyof typeof CONTROLS;

/** Always-on scripts of a stock install that do something only when their first argument says so, and cannot here. */
const SWITCHED: Readonly<Record<string, MissingCapability>> = {
  hypertile: 'hypertile',
  'extra options': 'extra-options',
};

/** An always-on script as `GET /script-info` describes it. */
export interface AlwaysOnScript {
  name: string;
  args: readonly ScriptControl[];
}

/** The always-on scripts of a route. */
export function alwaysOnScripts(isImg2img: boolean): AlwaysOnScript[] {
  const stock = Object.entries(CONTROLS).map(([name, args]) => ({ name, args }));
  return [
    ...stock.filter(({ name }) => isImg2img || name !== 'soft inpainting'),
    { name: CONTROLNET, args: [] },
    { name: ADETAILER, args: [checkbox('Enable ADetailer'), checkbox('Skip img2img')] },
  ];
}

/** What the always-on scripts of a request ask for. */
export interface AlwaysOn {
  /** Fields that replace the request's own. */
  changes: Partial<GenerationBody>;
  /** Soft inpainting, where it is switched on. */
  soft: SoftInpainting | null;
  /** What the request says to the ControlNet extension. */
  controlNet: unknown;
  /** What it says to ADetailer. */
  detailer: unknown;
}

/**
 * Reads `alwayson_scripts`. An argument that is left out or at its default says nothing; another one goes before the
 * request's own field.
 * @param selectable lower-case names of the scripts that are run by `script_name`
 * @throws AppError in the original's words for scripts that are not there and arguments that cannot be read;
 *   `unsupported_feature` for a stock script that is switched on and not available
 */
export function readAlwaysOn(
  sent: Readonly<Record<string, unknown>>,
  isImg2img: boolean,
  selectable: readonly string[] = [],
): AlwaysOn {
  let read: AlwaysOn = { changes: {}, soft: null, controlNet: undefined, detailer: undefined };
  for (const [title, settings] of Object.entries(sent)) {
    const name = title.toLowerCase();
    const needs = SWITCHED[name];
    if (needs !== undefined) {
      if (argumentsOf(settings)[0] === true) throw missingCapability(`'alwayson_scripts.${title}'`, needs);
    } else if (name === CONTROLNET) {
      read = { ...read, controlNet: settings };
    } else if (name === ADETAILER) {
      read = { ...read, detailer: settings };
    } else if (isAlwaysOn(name, isImg2img)) {
      const values = new ScriptArguments(`alwayson_scripts.${title}`, CONTROLS[name], argumentsOf(settings));
      if (name === 'soft inpainting') read = { ...read, soft: readSoft(values) };
      else read = { ...read, changes: { ...read.changes, ...CHANGES[name](values) } };
    } else if (selectable.includes(name)) {
      throw httpException(422, 'Cannot have a selectable script in the always on scripts params');
    } else {
      throw httpException(422, `always on script ${title} not found`);
    }
  }
  return read;
}

function isAlwaysOn(name: string, isImg2img: boolean): name is AlwaysOnName {
  return Object.hasOwn(CONTROLS, name) && (isImg2img || name !== 'soft inpainting');
}

function argumentsOf(settings: unknown): readonly unknown[] {
  const args = isRecord(settings) ? settings['args'] : undefined;
  return Array.isArray(args) ? args : [];
}

/** What each script sets (A1111, modules/processing_scripts). */
const CHANGES: Readonly<
  Record<Exclude<AlwaysOnName, 'soft inpainting'>, (args: ScriptArguments) => Partial<GenerationBody>>
> = {
  comments: () => ({}),
  refiner: (args) => {
    const checkpoint = args.get(1, f.string());
    return args.get(0, f.boolean()) && namesFile(checkpoint)
      ? { refiner_checkpoint: checkpoint, refiner_switch_at: args.get(2, f.number()) }
      : {};
  },
  sampler: (args) => ({
    ...args.change('steps', 0, f.integer()),
    ...args.change('sampler_name', 1, f.string()),
    ...args.change('scheduler', 2, f.string()),
  }),
  seed: (args) => {
    const hasExtras = args.get(1, f.boolean());
    const [width, height] = [args.get(4, f.integer()), args.get(5, f.integer())];
    return {
      ...args.change('seed', 0, f.bigInteger()),
      ...(hasExtras &&
        args.get(3, f.number()) > 0 && {
          subseed: args.get(2, f.bigInteger()),
          subseed_strength: args.get(3, f.number()),
        }),
      ...(hasExtras && width > 0 && height > 0 && { seed_resize_from_w: width, seed_resize_from_h: height }),
    };
  },
};

function readSoft(args: ScriptArguments): SoftInpainting | null {
  if (!args.get(0, f.boolean())) return null;
  const sliders = SOFT_SLIDERS.map(({ sets }, index) => [sets, args.get(index + 1, f.number())] as const);
  return Object.fromEntries(sliders) as unknown as SoftInpainting;
}

/** What the infotext says of soft inpainting. */
export function softPairs(soft: SoftInpainting): InfotextPair[] {
  return [
    ['Soft inpainting enabled', 'True'],
    ...SOFT_SLIDERS.map(({ sets, control }): InfotextPair => [
      `Soft inpainting ${control.label.toLowerCase()}`,
      pythonFloat(soft[sets]),
    ]),
  ];
}
