import * as v from 'valibot';
import { pydantic1 } from '#api/fastapi.ts';
import { defineFields, validate } from '#api/fields.ts';
import { findAddOn, installedAddOns } from '#api/models.ts';
import { missingCapability } from '#api/parameters.ts';
import { route, type Route } from '#api/route.ts';
import { fromBase64OrDataUri } from '#codecs/base64.ts';
import { CONTROL_MODES, describeUnit, RESIZE_MODES, unitModelName } from '#codecs/control-units.ts';
import type { InfotextPair } from '#codecs/infotext.ts';
import { isRecord } from '#codecs/json.ts';
import type { ControlPreprocessor, ControlSpec } from '#protocol/job.ts';
import type { AddOnInfo } from '#protocol/model.ts';
import { httpException, pythonException } from './errors.ts';

/*
 * The ControlNet extension (Mikubill/sd-webui-controlnet): units among the always-on scripts, and routes of its own.
 * What it draws its answer's names and defaults from: internal_controlnet/args.py, scripts/api.py.
 */

/** The always-on script's name. */
export const CONTROLNET = 'controlnet';

/** Of the extension's API. */
const API_VERSION = 3;

/** Units that its page shows; the API takes any number. */
const UNITS = 3;

const f = defineFields(pydantic1);

const unitBody = f.model({
  enabled: f.optional(f.boolean(), true),
  module: f.optional(f.string(), 'none'),
  model: f.optional(f.string(), 'None'),
  weight: f.optional(f.number({ min: 0, max: 2 }), 1),
  image: f.optional(f.json(), null),
  mask: f.optional(f.json(), null),
  resize_mode: f.optional(f.json(), 'Crop and Resize'),
  processor_res: f.optional(f.integer(), -1),
  threshold_a: f.optional(f.number(), -1),
  threshold_b: f.optional(f.number(), -1),
  guidance_start: f.optional(f.number({ min: 0, max: 1 }), 0),
  guidance_end: f.optional(f.number({ min: 0, max: 1 }), 1),
  pixel_perfect: f.optional(f.boolean(), false),
  control_mode: f.optional(f.json(), 'Balanced'),
  advanced_weighting: f.optional(f.json(), null),
  effective_region_mask: f.optional(f.json(), null),
  ipadapter_input: f.optional(f.json(), null),
});

type UnitBody = v.InferOutput<typeof unitBody>;

/** Names that fields had in earlier releases. */
const OLD_NAMES: Readonly<Record<string, string>> = {
  guidance: 'guidance_end',
  input_image: 'image',
  mask_image: 'mask',
};

/** Fields without a meaning here: memory, the page, and passes and files that there are not. */
const WITHOUT_EFFECT = [
  'low_vram',
  'lowvram',
  'hr_option',
  'save_detected_map',
  'inpaint_crop_input_image',
  'guessmode',
  'guess_mode',
  'is_ui',
  'input_mode',
  'batch_images',
  'output_dir',
  'loopback',
  'pulid_mode',
];

/** Preprocessors by name and by label, with the sliders that go with them. */
const MODULES: readonly { names: readonly [string, ...string[]]; kind: ControlPreprocessor['kind'] }[] = [
  { names: ['none'], kind: 'none' },
  { names: ['canny'], kind: 'canny' },
  { names: ['invert', 'invert (from white bg & black line)'], kind: 'invert' },
];

const CANNY_SLIDERS = [
  { name: 'Low Threshold', value: 100, min: 1, max: 255 },
  { name: 'High Threshold', value: 200, min: 1, max: 255 },
];

/** A unit that takes part, and how the infotext tells of it. */
export interface ControlUnit {
  spec: ControlSpec;
  pair: InfotextPair;
}

/**
 * The units of a request that are switched on.
 * @param script what the request has under {@link CONTROLNET}
 * @param ignore told which fields have no effect
 * @throws AppError in the extension's words for wrong units; `unsupported_feature` for what it can and this cannot
 */
export function readControlUnits(
  script: unknown,
  addOns: readonly AddOnInfo[],
  ignore: (...names: string[]) => void,
): ControlUnit[] {
  const args: readonly unknown[] = isRecord(script) && Array.isArray(script['args']) ? script['args'] : [];
  const units: ControlUnit[] = [];
  for (const [index, sent] of args.entries()) {
    if (sent === null) continue;
    const unit = readUnit(sent, index, ignore);
    if (!unit.enabled) continue;
    const addOn = findModelOf(unit, addOns);
    const spec = toSpec(unit, addOn);
    units.push({ spec, pair: [`ControlNet ${units.length}`, describeUnit(spec, addOn.sha256)] });
  }
  return units;
}

function readUnit(sent: unknown, index: number, ignore: (...names: string[]) => void): UnitBody {
  const where = `alwayson_scripts.${CONTROLNET}.args.${index}`;
  if (!isRecord(sent)) throw httpException(422, `${where} must be an object`);
  const renamed = Object.entries(sent).map(([name, value]) => [OLD_NAMES[name] ?? name, value] as const);
  const unit = validate(unitBody, Object.fromEntries(renamed), 'body');
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
  if (!value.enabled) return value;
  for (const name of ['mask', 'advanced_weighting', 'effective_region_mask', 'ipadapter_input'] as const) {
    if (value[name] !== null)
      throw missingCapability(`${where}.${name} needs masks and weights of ControlNets`);
  }
  const unknown = renamed.filter(
    ([name, own]) => !(name in unitBody.entries) && !(WITHOUT_EFFECT.includes(name) && !own),
  );
  ignore(...unknown.map(([name]) => `${where}.${name}`));
  // Edges are searched at the size that is drawn, as with `pixel_perfect`.
  if (value.processor_res > 0 && !value.pixel_perfect && moduleOf(value) !== 'none')
    ignore(`${where}.processor_res`);
  return value;
}

function findModelOf({ model }: UnitBody, addOns: readonly AddOnInfo[]): AddOnInfo {
  if (/^none$/i.test(model.trim()))
    throw pythonException('RuntimeError', 'You have not selected any ControlNet Model.');
  const addOn = findAddOn(addOns, CONTROLNET, model);
  if (addOn) return addOn;
  throw httpException(422, `model(${model}) not found in supported models.`);
}

function moduleOf({ module }: UnitBody): ControlPreprocessor['kind'] {
  const found = MODULES.find(({ names }) => names.includes(module.trim().toLowerCase()));
  if (found) return found.kind;
  throw missingCapability(`${CONTROLNET} module '${module}' needs a preprocessor`);
}

function toSpec(unit: UnitBody, { pack }: AddOnInfo): ControlSpec {
  return {
    id: pack.id,
    image: readImage(unit.image),
    fit: pick(RESIZE_MODES, unit.resize_mode, 'resize_mode')[1],
    preprocessor: toPreprocessor(unit),
    strength: unit.weight,
    start: unit.guidance_start,
    end: unit.guidance_end,
    balance: pick(CONTROL_MODES, unit.control_mode, 'control_mode')[1],
  };
}

function toPreprocessor(unit: UnitBody): ControlPreprocessor {
  const kind = moduleOf(unit);
  if (kind !== 'canny') return { kind };
  const [low = 100, high = 200] = CANNY_SLIDERS.map(({ value, min, max }, index) => {
    const own = index === 0 ? unit.threshold_a : unit.threshold_b;
    return own < min || own > max ? value : own;
  });
  return { kind, low: Math.min(low, high), high: Math.max(low, high) };
}

/** A choice by its name, an alias of it, or its number. */
function pick<T extends readonly [string, unknown, string?]>(
  choices: readonly T[],
  value: unknown,
  field: string,
): T {
  const found = typeof value === 'number' ? choices[value] : choices.find((choice) => choice.includes(value));
  if (found) return found;
  const names = choices.map(([name]) => `'${name}'`).join(', ');
  throw httpException(422, `${field} must be one of ${names}`);
}

/** @throws AppError when there is no image, or none that can be read; `unsupported_feature` for one with a mask */
function readImage(image: unknown): Blob {
  const text: unknown = isRecord(image) ? image['image'] : image;
  if (isRecord(image) && typeof image['mask'] === 'string' && image['mask'] !== '')
    throw missingCapability(`${CONTROLNET} image.mask needs masks of ControlNets`);
  if (typeof text !== 'string' || text === '')
    throw pythonException('ValueError', 'controlnet is enabled but no input image is given');
  try {
    return new Blob([fromBase64OrDataUri(text)]);
  } catch {
    throw pythonException('HTTPException', 'Invalid encoded image');
  }
}

function nameOf(addOn: AddOnInfo): string {
  return unitModelName(addOn.pack.id, addOn.sha256);
}

const modelNames = (addOns: readonly AddOnInfo[]) => installedAddOns(addOns, CONTROLNET).map(nameOf);

const MODULE_NAMES = MODULES.map(({ names: [name] }) => name);

const moduleDetail = Object.fromEntries(
  MODULES.map(({ names: [name], kind }) => [
    name,
    { model_free: false, sliders: kind === 'canny' ? [null, ...CANNY_SLIDERS] : [] },
  ]),
);

/** Which preprocessors suit which kind of ControlNet, as far as they are here. */
const CONTROL_TYPES: Readonly<Record<string, readonly string[]>> = {
  All: MODULE_NAMES,
  Canny: ['none', 'canny'],
  Lineart: ['none', 'invert'],
  Scribble: ['none', 'invert'],
};

export const controlNetRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/controlnet/version',
    summary: 'Version of the ControlNet API',
    run: () => Promise.resolve({ version: API_VERSION }),
  }),
  route({
    method: 'GET',
    path: '/controlnet/model_list',
    summary: 'The installed ControlNets',
    run: async (call) => ({ model_list: modelNames(await call.ask((host) => host.addOns())) }),
  }),
  route({
    method: 'GET',
    path: '/controlnet/module_list',
    summary: 'Preprocessors of control images',
    run: () => Promise.resolve({ module_list: MODULE_NAMES, module_detail: moduleDetail }),
  }),
  route({
    method: 'GET',
    path: '/controlnet/control_types',
    summary: 'Preprocessors and ControlNets by what they go by',
    run: async (call) => {
      const models = ['None', ...modelNames(await call.ask((host) => host.addOns()))];
      const describe = ([type, modules]: readonly [string, readonly string[]]) => {
        const own = models.filter(
          (name) => type === 'All' || name.toLowerCase().includes(type.toLowerCase()),
        );
        return [
          type,
          {
            module_list: modules,
            model_list: type === 'All' ? own : ['None', ...own],
            default_option: modules.at(-1) ?? 'none',
            default_model: own.find((name) => name !== 'None') ?? 'None',
          },
        ] as const;
      };
      return { control_types: Object.fromEntries(Object.entries(CONTROL_TYPES).map(describe)) };
    },
  }),
  route({
    method: 'GET',
    path: '/controlnet/settings',
    summary: 'How many units the page shows',
    run: () => Promise.resolve({ control_net_unit_count: UNITS }),
  }),
];
