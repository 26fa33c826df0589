import {
  honoured,
  noEffect,
  param,
  parameters,
  partOf,
  requiredParam,
  type BodyOf,
} from '#api/parameters.ts';
import * as v from 'valibot';
import { commaList, fields, jsonPart } from './fields.ts';
import { metadataSchemes } from './metadata.ts';
import { performanceNames } from './performance.ts';

const { bigInteger, boolean, integer, list, model, number, oneOf, optional, string } = fields;

/** The styles of Fooocus's default preset. */
const defaultStyles = ['Fooocus V2', 'Fooocus Enhance', 'Fooocus Sharp'];

const defaultLoras = [
  { enabled: true, model_name: 'sd_xl_offset_example-lora_1.0.safetensors', weight: 0.1 },
];

const lora = model({
  // Required in the source, but left out in the project's own examples.
  enabled: optional(boolean(), true),
  model_name: string(),
  weight: optional(number({ min: -2, max: 2 }), 0.5),
});

const ofImage = partOf('input_image');
const noDebugging = noEffect('with it the original never answers');
const anyMask = noEffect('a mask is used whenever one is sent');
const ofImagePrompts = partOf('image_prompts');
const ofEnhance = partOf('enhance_input_image');

/** ADM guidance as Fooocus has it where nothing is asked for. */
export const ADM_DEFAULTS = { adm_scaler_positive: 1.5, adm_scaler_negative: 0.8, adm_scaler_end: 0.3 };

/** What each generation takes as `advanced_params`. */
const advancedParams = parameters({
  disable_preview: param(boolean(), false, honoured, 'No previews'),
  disable_intermediate_results: param(
    boolean(),
    false,
    noEffect('the answer always comes when all images are finished'),
    'No intermediate results',
  ),
  disable_seed_increment: param(boolean(), false, honoured, 'The same seed for each image'),
  adm_scaler_positive: param(
    number({ min: 0.1, max: 3 }),
    ADM_DEFAULTS.adm_scaler_positive,
    honoured,
    'ADM guidance of SDXL models, positive scale',
  ),
  adm_scaler_negative: param(
    number({ min: 0.1, max: 3 }),
    ADM_DEFAULTS.adm_scaler_negative,
    honoured,
    'ADM guidance of SDXL models, negative scale',
  ),
  adm_scaler_end: param(
    number({ min: 0, max: 1 }),
    ADM_DEFAULTS.adm_scaler_end,
    honoured,
    'Share of the run with ADM guidance',
  ),
  adaptive_cfg: param(number({ min: 1, max: 30 }), 7, honoured, 'CFG scale that a higher one begins as'),
  clip_skip: param(integer({ min: 1, max: 12 }), 2, honoured, 'Clip skip'),
  sampler_name: param(string(), 'dpmpp_2m_sde_gpu', honoured, 'Sampler'),
  scheduler_name: param(string(), 'karras', honoured, 'Schedule'),
  overwrite_step: param(
    integer({ min: -1, max: 200 }),
    -1,
    honoured,
    "Steps in place of the mode's; -1 for those",
  ),
  // The documentation says a step up to 200, the source a number up to 1.
  overwrite_switch: param(
    number({ min: -1, max: 200 }),
    -1,
    honoured,
    'Step at which the refiner takes over, or share of the steps up to 1',
  ),
  overwrite_width: param(
    integer({ min: -1, max: 2048 }),
    -1,
    honoured,
    "Width in place of the aspect ratio's",
  ),
  overwrite_height: param(
    integer({ min: -1, max: 2048 }),
    -1,
    honoured,
    "Height in place of the aspect ratio's",
  ),
  overwrite_vary_strength: param(
    number({ min: -1, max: 1 }),
    -1,
    ofImage,
    'Denoising strength of variations',
  ),
  overwrite_upscale_strength: param(
    number({ min: -1, max: 1 }),
    -1,
    ofImage,
    'Denoising strength of upscaling',
  ),
  mixing_image_prompt_and_vary_upscale: param(boolean(), false, ofImage, 'Image prompts with variations'),
  mixing_image_prompt_and_inpaint: param(boolean(), false, ofImage, 'Image prompts with inpainting'),
  debugging_cn_preprocessor: param(boolean(), false, noDebugging, 'Answer with preprocessed images'),
  skipping_cn_preprocessor: param(boolean(), false, ofImagePrompts, 'No preprocessing'),
  canny_low_threshold: param(integer({ min: 1, max: 255 }), 64, ofImagePrompts, 'Lower threshold of canny'),
  canny_high_threshold: param(integer({ min: 1, max: 255 }), 128, ofImagePrompts, 'Upper threshold of canny'),
  refiner_swap_method: param(
    string(),
    'joint',
    noEffect("the refiner takes over within the run, as with 'joint'"),
    'How the refiner takes over',
  ),
  controlnet_softness: param(number({ min: 0, max: 1 }), 0.25, ofImagePrompts, 'Softness of ControlNets'),
  freeu_enabled: param(boolean(), false, honoured, 'FreeU'),
  freeu_b1: param(number(), 1.01, honoured, 'FreeU b1'),
  freeu_b2: param(number(), 1.02, honoured, 'FreeU b2'),
  freeu_s1: param(number(), 0.99, honoured, 'FreeU s1'),
  freeu_s2: param(number(), 0.95, honoured, 'FreeU s2'),
  debugging_inpaint_preprocessor: param(boolean(), false, noDebugging, 'Answer with the preprocessed image'),
  inpaint_disable_initial_latent: param(boolean(), false, ofImage, 'Start from pure noise'),
  inpaint_engine: param(string(), 'v2.6', ofImage, 'Inpaint patch, where it is installed'),
  inpaint_strength: param(number({ min: 0, max: 1 }), 1, ofImage, 'Denoising strength of inpainting'),
  inpaint_respective_field: param(
    number({ min: 0, max: 1 }),
    1,
    ofImage,
    'How much around the mask is looked at',
  ),
  inpaint_advanced_masking_checkbox: param(boolean(), true, anyMask, 'Advanced masking'),
  inpaint_mask_upload_checkbox: param(boolean(), false, anyMask, 'A mask is uploaded'),
  invert_mask_checkbox: param(boolean(), false, ofImage, 'Invert the mask'),
  inpaint_erode_or_dilate: param(
    integer({ min: -64, max: 64 }),
    0,
    ofImage,
    'Grow or shrink the mask, in pixels',
  ),
  black_out_nsfw: param(boolean(), false, honoured, 'Black out what is not safe for work'),
  vae_name: param(string(), 'Default (model)', honoured, 'VAE'),
  debugging_dino: param(boolean(), false, ofEnhance, 'Inpaint the rectangles of what was found'),
  dino_erode_or_dilate: param(
    integer({ min: -64, max: 64 }),
    0,
    ofEnhance,
    'Grow or shrink what was found, in pixels',
  ),
  debugging_enhance_masks_checkbox: param(
    boolean(),
    false,
    noEffect('the answer has no masks'),
    'Answer with the masks',
  ),
});

/** `W*H`, further factors unread as in the source. The image's sides are multiples of 8. */
const aspectRatio = v.pipe(
  string(),
  v.regex(/^\s*\d+\s*[*×]\s*\d+\s*($|\*)/, "Value error, should be a width and a height such as '1152*896'"),
  v.transform((text) => {
    const [width = 0, height = 0] = text.split(/[*×]/).map((side) => Math.floor(Number(side) / 8) * 8);
    return { width, height };
  }),
  v.check(
    ({ width, height }) => Math.min(width, height) >= 64 && Math.max(width, height) <= 4096,
    'Value error, width and height should be between 64 and 4096',
  ),
);

const saveExtension = v.pipe(
  string(),
  v.transform((text) => text.toLowerCase()),
  v.picklist(['png', 'jpg', 'jpeg', 'webp'], 'one_of'),
);

/** The documented spelling of the second scheme lacks a digit. */
const metaScheme = v.pipe(
  string(),
  v.transform((text) => (text === 'a111' ? 'a1111' : text)),
  v.picklist(metadataSchemes, 'one_of'),
);

/** A file name's stem: it becomes one segment of a path. */
const saveName = v.pipe(string(), v.regex(/^[^/\\]*$/, 'Value error, should not contain a slash'));

/** What JSON bodies and forms have alike. */
const shared = {
  prompt: param(string(), '', honoured, 'What to generate'),
  negative_prompt: param(string(), '', honoured, 'What to avoid'),
  performance_selection: param(
    oneOf(performanceNames),
    'Speed',
    honoured,
    'Performance mode: steps, and a LoRA of the fast ones',
  ),
  aspect_ratios_selection: param(aspectRatio, '1152*896', honoured, 'Width and height'),
  image_number: param(integer({ min: 1, max: 32 }), 1, honoured, 'Images'),
  image_seed: param(bigInteger(), -1n, honoured, 'Seed of the first image; -1 is random'),
  sharpness: param(number({ min: 0, max: 30 }), 2, honoured, 'Sharpness'),
  base_model_name: param(string(), 'juggernautXL_v8Rundiffusion.safetensors', honoured, 'Checkpoint'),
  refiner_model_name: param(string(), 'None', honoured, 'Refiner'),
  refiner_switch: param(
    number({ min: 0.1, max: 1 }),
    0.5,
    honoured,
    'Fraction of the steps before the refiner',
  ),
  meta_scheme: param(metaScheme, 'fooocus', honoured, 'Text to write into the image'),
  save_extension: param(saveExtension, 'png', honoured, 'File format'),
  save_name: param(saveName, '', honoured, 'Name of the files'),
  read_wildcards_in_order: param(boolean(), false, honoured, 'Wildcards line by line'),
  require_base64: param(boolean(), false, honoured, 'Images in the answer'),
  async_process: param(boolean(), false, honoured, 'Answer immediately with a job'),
  webhook_url: param(string(), '', honoured, 'URL to call when the job has ended'),
};

const STYLES = 'Names of styles';
const GUIDANCE = 'CFG scale';
const LORAS = 'LoRAs and their strengths';
const ADVANCED = 'Further settings';
const SAVE_META = 'Write into the image how it was made';

/** What every generation takes as JSON. */
export const commonJson = {
  ...shared,
  style_selections: param(list(string()), defaultStyles, honoured, STYLES),
  guidance_scale: param(number({ min: 1, max: 30 }), 4, honoured, GUIDANCE),
  loras: param(list(lora), defaultLoras, honoured, LORAS),
  advanced_params: param(advancedParams, {}, honoured, ADVANCED),
  save_meta: param(boolean(), true, honoured, SAVE_META),
};

/** What every generation takes as a form. */
export const commonForm = {
  ...shared,
  style_selections: param(commaList(string()), defaultStyles, honoured, STYLES),
  guidance_scale: param(number({ min: 1, max: 30 }), 7, honoured, GUIDANCE),
  loras: param(jsonPart(list(lora)), defaultLoras, honoured, LORAS),
  // The source takes all defaults where a part is not what it should be.
  advanced_params: param(
    v.fallback(jsonPart(advancedParams.schema), () => v.parse(advancedParams.schema, {})),
    {},
    honoured,
    ADVANCED,
  ),
  save_meta: param(boolean(), false, honoured, SAVE_META),
};

/** `POST /v1/generation/text-to-image`. */
export const textToImage = parameters(commonJson);

/** The parameters of every generation. */
export type CommonRequest = BodyOf<typeof textToImage>;

/** Overrides the `Accept` header of a generation. */
export const generationQuery = parameters({
  accept: param(string(), '', honoured, 'Replaces the Accept header'),
});

export const queryJob = parameters({
  job_id: requiredParam(string(), honoured, 'The job'),
  require_step_preview: param(boolean(), false, honoured, 'Answer with a preview'),
});

const onePage = noEffect('the history is one page');

export const jobHistory = parameters({
  job_id: param(string(), '', honoured, 'One job'),
  page: param(integer(), 0, onePage, 'Page'),
  page_size: param(integer(), 20, onePage, 'Jobs of a page'),
  delete: param(boolean(), false, honoured, 'Delete the job'),
});

const imageResult = v.object({
  base64: v.nullable(v.string()),
  url: v.nullable(v.string()),
  seed: v.string(),
  finish_reason: v.picklist(['SUCCESS', 'QUEUE_IS_FULL', 'USER_CANCEL', 'ERROR']),
});

/** An image, or the reason why there is none. */
export type ImageResult = v.InferOutput<typeof imageResult>;

/** The answer of `query-job` and of asynchronous generations. */
export const asyncJob = v.object({
  job_id: v.string(),
  job_type: v.string(),
  job_stage: v.picklist(['WAITING', 'RUNNING', 'SUCCESS', 'ERROR']),
  job_progress: v.number(),
  job_status: v.nullable(v.string()),
  job_step_preview: v.nullable(v.string()),
  job_result: v.nullable(v.array(imageResult)),
});

export type AsyncJob = v.InferOutput<typeof asyncJob>;

/** The JSON answers of a generation. */
export const generationAnswer = v.union([v.array(imageResult), asyncJob]);
