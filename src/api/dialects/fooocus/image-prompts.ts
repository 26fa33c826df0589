import { fittingIpAdapters, requireVisionModel } from '#api/image-prompts.ts';
import { findAddOn } from '#api/models.ts';
import { AppError } from '#protocol/error.ts';
import type { ControlSpec, ImagePromptSpec } from '#protocol/job.ts';
import { usableAddOns, type AddOnInfo, type ModelInfo } from '#protocol/model.ts';
import type { ImagePromptType } from './image-bodies.ts';
import type { ImagePrompt } from './input-images.ts';
import type { CommonRequest } from './schema.ts';

type ControlType = Extract<ImagePromptType, 'PyraCanny' | 'CPDS'>;
type SeenType = Exclude<ImagePromptType, ControlType>;

/** The network of a type: Fooocus's own file, or one whose name says that it is for the same. */
interface PromptNetwork {
  file: string;
  named: RegExp;
  /** Where the influence of an image ends, and its weight. */
  stop: number;
  weight: number;
}

/** Files: Fooocus modules/config.py; numbers: modules/flags.py, `default_parameters`. */
const CONTROLS: Readonly<Record<ControlType, PromptNetwork>> = {
  PyraCanny: { file: 'control-lora-canny-rank128.safetensors', named: /canny/i, stop: 0.5, weight: 1 },
  CPDS: { file: 'fooocus_xl_cpds_128.safetensors', named: /cpds/i, stop: 0.5, weight: 1 },
};

/** Fooocus's own are for SDXL; the others are those of the same kind in h94/IP-Adapter. */
const ADAPTERS: Readonly<Record<SeenType, PromptNetwork & { sd1: string }>> = {
  ImagePrompt: {
    file: 'ip-adapter-plus_sdxl_vit-h',
    sd1: 'ip-adapter-plus_sd15',
    named: /plus/i,
    stop: 0.5,
    weight: 0.6,
  },
  FaceSwap: {
    file: 'ip-adapter-plus-face_sdxl_vit-h',
    sd1: 'ip-adapter-plus-face_sd15',
    named: /plus.*face/i,
    stop: 0.9,
    weight: 0.75,
  },
};

/** What the images of a request are for: to steer the composition, or to be shown to the model. */
interface PlannedPrompts {
  controls: readonly ControlSpec[];
  imagePrompts: readonly ImagePromptSpec[];
}

/**
 * The image prompts of a request. Source: Fooocus modules/async_worker.py, `apply_control_nets` and `apply_image_input`. Where
 * Fooocus joins the tokens of all images and the prompt in one attention (extras/ip_adapter.py), each image has one of its own
 * here, as in IP-Adapter's own program.
 * @throws AppError `model_not_found` where what a type needs is not installed for the model
 */
export function planImagePrompts(
  prompts: readonly ImagePrompt[],
  request: Pick<CommonRequest, 'advanced_params'>,
  model: ModelInfo,
  addOns: readonly AddOnInfo[],
): PlannedPrompts {
  const controls: ControlSpec[] = [];
  const imagePrompts: ImagePromptSpec[] = [];
  for (const prompt of prompts) {
    const { type } = prompt;
    if (type === 'PyraCanny' || type === 'CPDS') {
      controls.push(planControl(prompt, type, request, findNetwork(type, model, addOns)));
    } else {
      imagePrompts.push(planImagePrompt(prompt, type, request, model, addOns));
    }
  }
  return { controls, imagePrompts };
}

/** A control image, brought to the size of what is generated and looked at there. */
function planControl(
  { file, stop, weight }: ImagePrompt,
  type: ControlType,
  { advanced_params: advanced }: Pick<CommonRequest, 'advanced_params'>,
  { pack }: AddOnInfo,
): ControlSpec {
  return {
    id: pack.id,
    image: file,
    fit: 'cover',
    preprocessor: {
      kind: 'fooocus',
      map: advanced.skipping_cn_preprocessor ? null : type,
      low: advanced.canny_low_threshold,
      high: advanced.canny_high_threshold,
    },
    strength: weight || CONTROLS[type].weight,
    start: 0,
    end: stop || CONTROLS[type].stop,
    balance: 'even',
    softness: advanced.controlnet_softness,
  };
}

function planImagePrompt(
  { file, stop, weight }: ImagePrompt,
  type: SeenType,
  { advanced_params: advanced }: Pick<CommonRequest, 'advanced_params'>,
  model: ModelInfo,
  addOns: readonly AddOnInfo[],
): ImagePromptSpec {
  const adapter = findAdapter(type, model, addOns);
  return {
    id: adapter.pack.id,
    clipVision: requireVisionModel(adapter, addOns).pack.id,
    image: file,
    fit: type === 'FaceSwap' && !advanced.skipping_cn_preprocessor ? 'face' : 'stretch',
    weight: weight || ADAPTERS[type].weight,
    start: 0,
    end: stop || ADAPTERS[type].stop,
  };
}

function findNetwork(type: ControlType, { pack }: ModelInfo, addOns: readonly AddOnInfo[]): AddOnInfo {
  const { file, named } = CONTROLS[type];
  const fits = ({ pack: { family } }: AddOnInfo) => family === null || family === pack.family;
  const own = findAddOn(addOns, 'controlnet', file);
  const found =
    own && fits(own)
      ? own
      : usableAddOns(addOns, 'controlnet').find((addOn) => fits(addOn) && isNamed(addOn, named));
  if (found) return found;
  throw new AppError(
    'model_not_found',
    `Image prompts of type ${type} need a ControlNet for ${pack.title}. Install ${file} in Models, or another one with “${type === 'CPDS' ? 'cpds' : 'canny'}” in its name.`,
  );
}

/** Fooocus's own IP-Adapter; one of the same kind; or any other for faces, or for what is not a face. */
function findAdapter(type: SeenType, { pack }: ModelInfo, addOns: readonly AddOnInfo[]): AddOnInfo {
  const { file, sd1, named } = ADAPTERS[type];
  const suitable = fittingIpAdapters(addOns, pack.family).filter(
    (addOn) => isNamed(addOn, /face/i) === (type === 'FaceSwap'),
  );
  const found =
    findAddOn(suitable, 'ip-adapter', file) ?? suitable.find((addOn) => isNamed(addOn, named)) ?? suitable[0];
  if (found) return found;
  const wanted = `an IP-Adapter${type === 'FaceSwap' ? ' for faces' : ''}`;
  const another = type === 'FaceSwap' ? 'another one with “face” in its name' : 'another one';
  const remedy =
    pack.family === 'sdxl' || pack.family === 'sd1'
      ? `Install ${pack.family === 'sdxl' ? file : sd1} in Models, or ${another}.`
      : 'Choose an SDXL or SD 1.5 checkpoint, which there are IP-Adapters for.';
  throw new AppError(
    'model_not_found',
    `Image prompts of type ${type} need ${wanted} that fits ${pack.title}. ${remedy}`,
  );
}

function isNamed({ pack: { id, title } }: AddOnInfo, name: RegExp): boolean {
  return name.test(id) || name.test(title);
}
