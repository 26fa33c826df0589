import { validate } from '#api/fields.ts';
import {
  honoured,
  noEffect,
  param,
  parameters,
  partOf,
  screenParameters,
  type BodyOf,
} from '#api/parameters.ts';
import { isRecord } from '#codecs/json.ts';
import { AppError } from '#protocol/error.ts';
import { textFinderModels, type Finder } from '#protocol/finder.ts';
import type { ControlSpec } from '#protocol/job.ts';
import type { AddOnInfo } from '#protocol/model.ts';
import { readControlUnits } from './controlnet-unit.ts';
import { httpException, pythonException } from './errors.ts';
import { f } from './fields.ts';

/*
 * The always-on script of ADetailer (Bing-su/adetailer); names, defaults and words are those of its adetailer/args.py and
 * scripts/!adetailer.py.
 */

/** The always-on script's name. */
export const ADETAILER = 'adetailer';

const share = () => f.number({ min: 0, max: 1 });
const natural = () => f.integer({ min: 0 });

const unitBody = parameters({
  ad_model: param(f.string(), 'None', honoured, 'What is looked for: faces, persons or what words name'),
  ad_model_classes: param(f.string(), '', honoured, 'What `yolov8x-world*` looks for, with commas between'),
  ad_tab_enable: param(f.boolean(), true, honoured, 'Whether the unit takes part'),
  ad_prompt: param(f.string(), '', honoured, "Prompt; empty is the image's, [PROMPT] stands for it"),
  ad_negative_prompt: param(f.string(), '', honoured, 'Negative prompt, likewise'),
  ad_confidence: param(share(), 0.3, honoured, 'How certain a detection has to be'),
  ad_mask_filter_method: param(
    f.oneOf(['Area', 'Confidence']),
    'Area',
    partOf('ad_mask_k'),
    'Which ones these are: the largest or the most certain',
  ),
  ad_mask_k: param(natural(), 0, honoured, 'Inpaint only so many; 0 is all'),
  ad_mask_min_ratio: param(share(), 0, honoured, 'Least part of the image that is covered'),
  ad_mask_max_ratio: param(share(), 1, honoured, 'Largest part of the image that is covered'),
  ad_dilate_erode: param(f.integer(), 4, honoured, 'Pixels by which masks grow or, below 0, shrink'),
  ad_x_offset: param(f.integer(), 0, honoured, 'Pixels by which masks are moved to the right'),
  ad_y_offset: param(f.integer(), 0, honoured, 'Pixels by which masks are moved up'),
  ad_mask_merge_invert: param(
    f.oneOf(['None', 'Merge', 'Merge and Invert']),
    'None',
    honoured,
    'One mask for each, one for all, or one for all else',
  ),
  ad_mask_blur: param(natural(), 4, honoured, 'Mask blur in pixels'),
  ad_denoising_strength: param(share(), 0.4, honoured, 'Denoising strength'),
  ad_inpaint_only_masked: param(f.boolean(), true, honoured, 'Inpaint the masked area at full resolution'),
  ad_inpaint_only_masked_padding: param(
    natural(),
    32,
    partOf('ad_inpaint_only_masked'),
    'Pixels around it that are seen',
  ),
  ad_use_inpaint_width_height: param(f.boolean(), false, honoured, 'Inpaint at a size of its own'),
  ad_inpaint_width: param(
    f.integer({ min: 1 }),
    512,
    partOf('ad_use_inpaint_width_height'),
    'Width in pixels',
  ),
  ad_inpaint_height: param(
    f.integer({ min: 1 }),
    512,
    partOf('ad_use_inpaint_width_height'),
    'Height in pixels',
  ),
  ad_use_steps: param(f.boolean(), false, honoured, 'Use steps of its own'),
  ad_steps: param(f.integer({ min: 1 }), 28, partOf('ad_use_steps'), 'Sampling steps'),
  ad_use_cfg_scale: param(f.boolean(), false, honoured, 'Use a CFG scale of its own'),
  ad_cfg_scale: param(f.number({ min: 0 }), 7, partOf('ad_use_cfg_scale'), 'CFG scale'),
  ad_use_checkpoint: param(f.boolean(), false, honoured, 'Use a checkpoint of its own'),
  ad_checkpoint: param(f.string(), null, partOf('ad_use_checkpoint'), 'Checkpoint'),
  ad_use_vae: param(f.boolean(), false, honoured, 'Use a VAE of its own'),
  ad_vae: param(f.string(), null, partOf('ad_use_vae'), 'VAE'),
  ad_use_sampler: param(f.boolean(), false, honoured, 'Use a sampler of its own'),
  ad_sampler: param(f.string(), 'DPM++ 2M Karras', partOf('ad_use_sampler'), 'Sampler'),
  ad_scheduler: param(f.string(), 'Use same scheduler', partOf('ad_use_sampler'), 'Schedule'),
  ad_use_noise_multiplier: param(f.boolean(), false, honoured, 'Use a noise multiplier of its own'),
  ad_noise_multiplier: param(
    f.number({ min: 0.5, max: 1.5 }),
    1,
    partOf('ad_use_noise_multiplier'),
    'Noise multiplier',
  ),
  ad_use_clip_skip: param(f.boolean(), false, honoured, 'Use a Clip skip of its own'),
  ad_clip_skip: param(f.integer({ min: 1, max: 12 }), 1, partOf('ad_use_clip_skip'), 'Clip skip'),
  ad_restore_face: param(f.boolean(), false, honoured, 'Restore the faces afterwards'),
  ad_controlnet_model: param(f.string(), 'None', honoured, 'ControlNet'),
  ad_controlnet_module: param(f.string(), 'None', partOf('ad_controlnet_model'), 'Preprocessor'),
  ad_controlnet_weight: param(share(), 1, partOf('ad_controlnet_model'), 'Strength'),
  ad_controlnet_guidance_start: param(
    share(),
    0,
    partOf('ad_controlnet_model'),
    'Fraction of the steps at which it starts',
  ),
  ad_controlnet_guidance_end: param(
    share(),
    1,
    partOf('ad_controlnet_model'),
    'Fraction of the steps at which it ends',
  ),
  is_api: param(
    f.json(),
    true,
    noEffect("part of the extension's page", () => false),
    'Whether the API sent it',
  ),
});

/** The fields of a unit. */
export type DetailerBody = BodyOf<typeof unitBody>;

/** A unit that takes part. */
export interface DetailerUnit {
  body: DetailerBody;
  finder: Finder;
  /** Of the inpainted regions: the unit's own, or those of the request. */
  controls?: readonly ControlSpec[] | 'passthrough';
}

/** What a request asks of ADetailer. */
export interface Detailer {
  units: DetailerUnit[];
  /** The init images are detailed as they are, and nothing else is generated. */
  skipsImg2img: boolean;
}

/** ADetailer's models by what finds the same here. The last one's mask is the outline of the face. */
const FINDERS: readonly (readonly [name: RegExp, finder: Finder])[] = [
  [/^face_yolov\w+\.pt$/, { kind: 'faces' }],
  [/^mediapipe_face_(?:full|short)$/, { kind: 'faces' }],
  [/^mediapipe_face_mesh$/, { kind: 'faces', shape: 'ellipse' }],
  [/^person_yolov\w+-seg\.pt$/, { kind: 'person' }],
];

/** Its models that find what words name. */
const WORLD_MODELS = /^yolov8x-world/;

/** Its models that find what nothing here does. */
const OTHER_MODELS = /^(?:hand_|deepfashion2_|mediapipe_face_mesh_eyes_only$)/;

/** Models to name where another one is asked for. */
const NAMED_MODELS = ['face_yolov8n.pt', 'face_yolov8s.pt', 'mediapipe_face_full', 'person_yolov8n-seg.pt'];

/**
 * The units of a request that are switched on: a flag for all, a flag for `skip_img2img`, both optional, then the units.
 * @param script what the request has under {@link ADETAILER}
 * @param ignore called with the names of fields without effect
 * @returns null where none takes part
 * @throws AppError for fields that cannot be read, and in the extension's words for models that are not there;
 *   `unsupported_feature` for models that find what nothing here does, `model_not_found` where nothing is installed that does
 */
export async function readDetailer(
  script: unknown,
  addOns: readonly AddOnInfo[],
  ignore: (...names: string[]) => void,
): Promise<Detailer | null> {
  const args: readonly unknown[] = isRecord(script) && Array.isArray(script['args']) ? script['args'] : [];
  const [enabled, skipsImg2img] = args;
  if (enabled === false) return null;
  const units: DetailerUnit[] = [];
  for (const [index, sent] of args.entries()) {
    const body = isRecord(sent) ? readUnit(sent, index, ignore) : null;
    if (body)
      units.push({ body, finder: finderOf(body, addOns), ...(await readControls(body, addOns, ignore)) });
  }
  return units.length > 0 ? { units, skipsImg2img: skipsImg2img === true } : null;
}

/** Null for a unit that is switched off. */
function readUnit(
  sent: Readonly<Record<string, unknown>>,
  index: number,
  ignore: (...names: string[]) => void,
): DetailerBody | null {
  const where = `alwayson_scripts.${ADETAILER}.args.${index}`;
  const unit = validate(unitBody.schema, sent, 'body');
  if ('invalid' in unit) {
    const wrong = unit.invalid.map(({ path, rule }) => `${path.join('.')} (${rule})`);
    throw httpException(422, `${where} has values that cannot be read: ${wrong.join(', ')}`);
  }
  const { value: body } = unit;
  if (body.ad_model === 'None' || !body.ad_tab_enable) return null;
  ignore(...screenParameters(unitBody, sent, body).map((name) => `${where}.${name}`));
  if (body.ad_model_classes !== '' && !WORLD_MODELS.test(body.ad_model)) ignore(`${where}.ad_model_classes`);
  return body;
}

function finderOf(body: DetailerBody, addOns: readonly AddOnInfo[]): Finder {
  const { ad_model: name } = body;
  if (WORLD_MODELS.test(name)) return worldFinder(body, addOns);
  const found = FINDERS.find(([pattern]) => pattern.test(name));
  if (found) return found[1];
  if (!OTHER_MODELS.test(name)) {
    const available = NAMED_MODELS.map((known) => `'${known}'`).join(', ');
    throw pythonException(
      'ValueError',
      `[-] ADetailer: Model '${name}' not found. Available models: [${available}]`,
    );
  }
  throw new AppError(
    'unsupported_feature',
    `'ad_model' cannot be “${name}”: only faces and persons are found here. Choose ${NAMED_MODELS.join(', ')}.`,
    { detail: { parameter: 'ad_model' } },
  );
}

/** Rectangles around what words name, as YOLO-World has them; by what is installed here for that. */
function worldFinder(
  { ad_model: name, ad_model_classes: classes, ad_confidence: threshold }: DetailerBody,
  addOns: readonly AddOnInfo[],
): Finder {
  const words = classes
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
  if (words.length === 0) {
    throw httpException(
      422,
      `'ad_model' is “${name}”, and 'ad_model_classes' is empty. Say there what to look for, such as 'cat, red hat'.`,
    );
  }
  const models = textFinderModels(addOns);
  if (models) return { kind: 'text', model: models.model, text: words.join('. '), threshold };
  throw new AppError(
    'model_not_found',
    `'ad_model' is “${name}”, and nothing is installed that finds what words name. Import a Grounding DINO or an OWL-ViT in Models (ONNX), or choose ${NAMED_MODELS.join(', ')}.`,
    { detail: { parameter: 'ad_model' } },
  );
}

/** The preprocessor of a ControlNet whose name says what it is for, unless another one is chosen. */
const MODULES: readonly (readonly [part: string, module: string])[] = [
  ['inpaint', 'inpaint_global_harmonious'],
  ['scribble', 't2ia_sketch_pidi'],
  ['lineart', 'lineart_coarse'],
  ['openpose', 'openpose_full'],
  ['tile', 'tile_resample'],
  ['depth', 'depth_midas'],
];

/** The ControlNet of a unit; it looks at the region. Source: ADetailer, controlnet_ext/controlnet_ext.py. */
async function readControls(
  unit: DetailerBody,
  addOns: readonly AddOnInfo[],
  ignore: (...names: string[]) => void,
): Promise<Pick<DetailerUnit, 'controls'>> {
  const { ad_controlnet_model: model, ad_controlnet_module: chosen } = unit;
  if (model === 'None') return {};
  if (model === 'Passthrough') return { controls: 'passthrough' };
  const usual = MODULES.find(([part]) => model.includes(part))?.[1];
  const sent = {
    model,
    module: chosen === 'None' ? (usual ?? 'None') : chosen,
    weight: unit.ad_controlnet_weight,
    guidance_start: unit.ad_controlnet_guidance_start,
    guidance_end: unit.ad_controlnet_guidance_end,
  };
  const size = { width: unit.ad_inpaint_width, height: unit.ad_inpaint_height };
  // What it looks at is known when it is found.
  const region = { image: new Blob(), fit: 'stretch' } as const;
  const units = await readControlUnits({ args: [sent] }, addOns, ignore, { size, initImage: region });
  if (units.some(({ imagePrompt }) => imagePrompt)) {
    throw new AppError(
      'unsupported_feature',
      'ADetailer takes ControlNets here, and no IP-Adapters. Choose a ControlNet.',
    );
  }
  return { controls: units.flatMap(({ spec }) => spec ?? []) };
}
