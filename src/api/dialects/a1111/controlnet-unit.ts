import { validate } from '#api/fields.ts';
import { findAddOn } from '#api/models.ts';
import {
  honoured,
  needs,
  noEffect,
  param,
  parameters,
  screenParameters,
  type BodyOf,
} from '#api/parameters.ts';
import { findIpAdapter, toImagePrompt } from './ip-adapter-unit.ts';
import {
  findModule,
  moduleSettings,
  networkPreprocessor,
  noSuchModule,
  type ControlModule,
} from './controlnet-modules.ts';
import {
  maskedUnitImage,
  perfectResolution,
  readImageFile,
  unitImage,
  type SourceImage,
} from './controlnet-images.ts';
import { CONTROL_MODE_LABELS, describeUnit, RESIZE_MODE_LABELS } from '#codecs/infotext-control.ts';
import type { InfotextPair } from '#codecs/infotext.ts';
import { isRecord } from '#codecs/json.ts';
import type { ControlPreprocessor, ControlSpec, ImagePromptSpec, Size } from '#protocol/job.ts';
import type { AddOnInfo } from '#protocol/model.ts';
import { httpException, pythonException } from './errors.ts';
import { f } from './fields.ts';

/*
 * Units of the ControlNet extension (Mikubill/sd-webui-controlnet) among the always-on scripts; names and defaults are
 * those of its internal_controlnet/args.py.
 */

/** The always-on script's name. */
export const CONTROLNET = 'controlnet';

const ofMemory = noEffect('memory is managed here');
const ofThePage = noEffect("part of the extension's page");
const noCrop = noEffect('control images are always cropped to the inpainted area');
const noMaps = noEffect('the answer has no control maps', (value) => value === true);

const unitBody = parameters({
  enabled: param(f.boolean(), true, honoured, 'Whether the unit takes part'),
  module: param(f.string(), 'none', honoured, 'Preprocessor'),
  model: param(f.string(), 'None', honoured, 'ControlNet'),
  weight: param(f.number({ min: 0, max: 2 }), 1, honoured, 'Strength'),
  image: param(f.json(), null, honoured, 'ControlNet image in base64'),
  mask: param(f.json(), null, honoured, 'Scribble instead of the image; what is inpainted'),
  resize_mode: param(f.json(), 'Crop and Resize', honoured, 'Resize mode of the init image'),
  processor_res: param(f.integer(), -1, honoured, 'Resolution of the preprocessor'),
  threshold_a: param(f.number(), -1, honoured, 'First slider of the preprocessor'),
  threshold_b: param(f.number(), -1, honoured, 'Second slider of the preprocessor'),
  guidance_start: param(
    f.number({ min: 0, max: 1 }),
    0,
    honoured,
    'Fraction of the steps at which it starts',
  ),
  guidance_end: param(f.number({ min: 0, max: 1 }), 1, honoured, 'Fraction of the steps at which it ends'),
  pixel_perfect: param(f.boolean(), false, honoured, 'Preprocess at the size of the image'),
  control_mode: param(f.json(), 'Balanced', honoured, 'Control mode'),
  advanced_weighting: param(f.list(f.number()), null, honoured, 'Weights by layer'),
  effective_region_mask: param(f.json(), null, honoured, 'Area where the unit has an effect'),
  ipadapter_input: param(f.json(), null, needs('image-embedding'), 'Input of an IP-Adapter'),
  hr_option: param(f.string(), null, honoured, 'Passes of hires fix in which it takes part'),
  low_vram: param(f.boolean(), false, ofMemory, 'Save memory'),
  lowvram: param(f.boolean(), false, ofMemory, 'Save memory'),
  guessmode: param(f.boolean(), false, noEffect('control_mode decides'), 'Guess mode'),
  guess_mode: param(f.boolean(), false, noEffect('control_mode decides'), 'Guess mode'),
  save_detected_map: param(f.boolean(), true, noMaps, 'Answer with the map'),
  inpaint_crop_input_image: param(f.boolean(), true, noCrop, 'Crop to the masked area'),
  pulid_mode: param(f.string(), null, noEffect('there is no PuLID model'), 'Mode of PuLID'),
  is_ui: param(f.boolean(), false, ofThePage, 'Whether the page sent it'),
  input_mode: param(f.string(), null, ofThePage, 'Mode of the page'),
  batch_images: param(f.json(), '', ofThePage, 'Images of a batch'),
  output_dir: param(f.string(), '', ofThePage, 'Folder of the batch'),
  loopback: param(f.boolean(), false, ofThePage, 'Feed the result back as the init image'),
});

type UnitBody = BodyOf<typeof unitBody>;

/** Names that fields had in earlier releases. */
const OLD_NAMES: Readonly<Record<string, string>> = {
  guidance: 'guidance_end',
  input_image: 'image',
  mask_image: 'mask',
};

/** One value of a field that takes names and numbers. */
interface Choice<T> {
  names: readonly [string, ...string[]];
  meaning: T;
}

/** In the order of their numbers. */
const RESIZE_MODES: readonly Choice<ControlSpec['fit']>[] = [
  { names: [RESIZE_MODE_LABELS.stretch], meaning: 'stretch' },
  { names: [RESIZE_MODE_LABELS.cover, 'Inner Fit (Scale to Fit)'], meaning: 'cover' },
  { names: [RESIZE_MODE_LABELS.contain, 'Outer Fit (Shrink to Fit)'], meaning: 'contain' },
];

const CONTROL_MODES: readonly Choice<ControlSpec['balance']>[] = [
  { names: [CONTROL_MODE_LABELS.even], meaning: 'even' },
  { names: [CONTROL_MODE_LABELS.prompt], meaning: 'prompt' },
  { names: [CONTROL_MODE_LABELS.control], meaning: 'control' },
];

/** Which of two passes a unit takes part in; undefined for both. */
const HIRES_OPTIONS: readonly Choice<ControlSpec['passes']>[] = [
  { names: ['Both'], meaning: undefined },
  { names: ['Low res only'], meaning: 'first' },
  { names: ['High res only'], meaning: 'later' },
];

/** A unit that takes part, and how it appears in the infotext. */
export interface ControlUnit {
  /** Of a ControlNet. */
  spec?: ControlSpec;
  /** Of an IP-Adapter. */
  imagePrompt?: ImagePromptSpec;
  pair: InfotextPair;
}

/** What units are read for. */
export interface UnitContext {
  /** Pixels of the first pass. */
  size: Size;
  /** For units without an image; it is brought to size like the init image itself. */
  initImage?: SourceImage;
  /** Whether a part of the init image is generated. */
  hasMask?: boolean;
  /** Whether there is a second pass. */
  isHires?: boolean;
}

/**
 * The units of a request that are switched on.
 * @param script what the request has under {@link CONTROLNET}
 * @param ignore called with the names of fields without effect
 * @throws AppError in the extension's words for wrong units; `unsupported_feature` for what it can and this cannot
 */
export async function readControlUnits(
  script: unknown,
  addOns: readonly AddOnInfo[],
  ignore: (...names: string[]) => void,
  context: UnitContext,
): Promise<ControlUnit[]> {
  const args: readonly unknown[] = isRecord(script) && Array.isArray(script['args']) ? script['args'] : [];
  const units: ControlUnit[] = [];
  for (const [index, sent] of args.entries()) {
    if (sent === null) continue;
    const unit = readUnit(sent, index, ignore);
    if (!unit) continue;
    const { passes } = passesOf(unit, { isHires: true });
    if (passes && !context.isHires) ignore(`${unitName(index)}.hr_option`);
    const adapter = findIpAdapter(unit, addOns);
    if (adapter) {
      requireWeights(unit, adapter);
      const { image } = await sourceOf(unit, context);
      const { imagePrompt, pair } = toImagePrompt(unit, adapter, image, { addOns, index: units.length });
      const parts = { ...(await partsOf(unit)), ...passesOf(unit, context) };
      units.push({ imagePrompt: { ...imagePrompt, ...parts }, pair });
      continue;
    }
    const addOn = findModelOf(unit, addOns);
    const module = findModule(unit.module);
    if (!module) throw noSuchModule(unit.module, addOns);
    const spec = await toSpec(unit, module, addOn, { ...context, addOns });
    const { preprocessor: own } = spec;
    const preprocessor = own.kind === 'module' ? { ...own, name: module.name } : { kind: module.name };
    const described = describeUnit({ ...spec, preprocessor }, addOn.sha256);
    units.push({ spec, pair: [`ControlNet ${units.length}`, described] });
  }
  return units;
}

const unitName = (index: number) => `alwayson_scripts.${CONTROLNET}.args.${index}`;

/** A unit that is switched on; null for one that is not. */
function readUnit(sent: unknown, index: number, ignore: (...names: string[]) => void): UnitBody | null {
  const where = unitName(index);
  if (!isRecord(sent)) throw httpException(422, `${where} must be an object`);
  const renamed = Object.fromEntries(
    Object.entries(sent).map(([name, value]) => [OLD_NAMES[name] ?? name, value]),
  );
  const unit = validate(unitBody.schema, renamed, 'body');
  if ('invalid' in unit) {
    const wrong = unit.invalid.map(({ path, rule }) => `${path.join('.')} (${rule})`);
    throw httpException(422, `${where} has values that cannot be read: ${wrong.join(', ')}`);
  }
  const { value } = unit;
  if (value.guidance_start > value.guidance_end) {
    throw pythonException(
      'ValueError',
      `guidance_start(${value.guidance_start}) > guidance_end(${value.guidance_end})`,
    );
  }
  if (!value.enabled) return null;
  ignore(...screenParameters(unitBody, renamed, value).map((name) => `${where}.${name}`));
  return value;
}

function findModelOf({ model }: UnitBody, addOns: readonly AddOnInfo[]): AddOnInfo {
  if (/^none$/i.test(model.trim()))
    throw pythonException('RuntimeError', 'You have not selected any ControlNet Model.');
  const addOn = findAddOn(addOns, CONTROLNET, model);
  if (addOn) return addOn;
  throw httpException(422, `model(${model}) not found in supported models.`);
}

/** Where a unit has an effect, and how much by layer or, of an IP-Adapter, by block. */
async function partsOf({
  effective_region_mask: region,
  advanced_weighting: layerWeights,
}: UnitBody): Promise<Pick<ControlSpec, 'region' | 'layerWeights'>> {
  return {
    ...(region !== null && { region: await readImageFile(region) }),
    ...(layerWeights && { layerWeights }),
  };
}

/** Blocks of a UNet that attend to prompts. Source: the extension, scripts/enums.py, `transformer_block_num`. */
const ATTENDING_BLOCKS = { sdxl: 11, other: 16 };

/** An IP-Adapter has one weight for each block that it has keys and values for. */
function requireWeights({ advanced_weighting: weights }: UnitBody, { pack }: AddOnInfo): void {
  const count = pack.family === 'sdxl' ? ATTENDING_BLOCKS.sdxl : ATTENDING_BLOCKS.other;
  if (weights === null || weights.length === count) return;
  throw pythonException('AssertionError', `advanced_weighting of '${pack.id}' must have ${count} numbers`);
}

/** Without hires fix the option means nothing, as in the extension. */
function passesOf(
  { hr_option: option }: UnitBody,
  { isHires = false }: Pick<UnitContext, 'isHires'>,
): Pick<ControlSpec, 'passes'> {
  const passes = option === null ? undefined : pick(HIRES_OPTIONS, option, 'hr_option');
  return isHires && passes ? { passes } : {};
}

interface UnitSource extends SourceImage {
  isInit: boolean;
  mask?: Blob;
}

/** What a unit looks at: its own image, or the init image. */
async function sourceOf(unit: UnitBody, { initImage }: UnitContext): Promise<UnitSource> {
  const isInpaint = findModule(unit.module)?.preprocessor === 'inpaint';
  const image = isInpaint ? undefined : await unitImage(unit);
  const own = isInpaint ? await maskedUnitImage(unit) : image && { image };
  const fit = pick(RESIZE_MODES, unit.resize_mode, 'resize_mode');
  if (own) return { ...own, fit, isInit: false };
  if (initImage) return { ...initImage, isInit: true };
  throw pythonException('ValueError', 'controlnet is enabled but no input image is given');
}

async function toSpec(
  unit: UnitBody,
  module: ControlModule,
  { pack }: AddOnInfo,
  context: UnitContext & { addOns: readonly AddOnInfo[] },
): Promise<ControlSpec> {
  const source = await sourceOf(unit, context);
  return {
    id: pack.id,
    ...(!source.isInit && { image: source.image }),
    ...(source.mask && { mask: source.mask }),
    fit: source.fit,
    preprocessor: await toPreprocessor(unit, module, source, context),
    strength: unit.weight,
    start: unit.guidance_start,
    end: unit.guidance_end,
    balance: pick(CONTROL_MODES, unit.control_mode, 'control_mode'),
    ...(await partsOf(unit)),
    ...passesOf(unit, context),
  };
}

async function toPreprocessor(
  unit: UnitBody,
  module: ControlModule,
  source: UnitSource,
  { size, addOns, hasMask = false }: UnitContext & { addOns: readonly AddOnInfo[] },
): Promise<ControlPreprocessor> {
  const { preprocessor } = module;
  // Units of IP-Adapters have been read before.
  if (preprocessor === null || preprocessor === 'ip-adapter') return { kind: 'none' };
  if (preprocessor === 'inpaint') {
    // Where the original inpaints anyway, `inpaint_only` is `inpaint` to the extension.
    const restores = !source.isInit && !hasMask && module.name === 'inpaint_only';
    return { kind: 'inpaint', ...(restores && { restores }) };
  }
  const settings = moduleSettings(module, unit);
  const resolution = unit.pixel_perfect ? await perfectResolution(source, size) : settings.resolution;
  const byNetwork = networkPreprocessor(module, { ...settings, resolution }, addOns);
  if (byNetwork) return byNetwork;
  return { kind: 'module', name: preprocessor, ...settings, resolution };
}

/** A choice by its number, its name, or the name it had before. */
function pick<T>(choices: readonly Choice<T>[], value: unknown, field: string): T {
  const found =
    typeof value === 'number'
      ? choices[value]
      : choices.find(({ names }) => names.some((name) => name === value));
  if (found) return found.meaning;
  const names = choices.map(({ names: [name] }) => `'${name}'`).join(', ');
  throw httpException(422, `${field} must be one of ${names}`);
}
