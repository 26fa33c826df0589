import * as v from 'valibot';
import { commaList, fields, jsonPart } from './fields.ts';
import { metadataSchemes } from './metadata.ts';
import { performances } from './performance.ts';

const { bigInteger, boolean, integer, list, model, number, oneOf, optional, string } = fields;

/** The styles of Fooocus's default preset. */
const defaultStyles = ['Fooocus V2', 'Fooocus Enhance', 'Fooocus Sharp'];

const defaultLoras = [
  { enabled: true, model_name: 'sd_xl_offset_example-lora_1.0.safetensors', weight: 0.1 },
];

const performanceNames = Object.keys(performances) as (keyof typeof performances)[];

const lora = model({
  // Required in the source, but left out in the project's own examples.
  enabled: optional(boolean(), true),
  model_name: string(),
  weight: optional(number({ min: -2, max: 2 }), 0.5),
});

export const advancedParams = model({
  disable_preview: optional(boolean(), false),
  disable_intermediate_results: optional(boolean(), false),
  disable_seed_increment: optional(boolean(), false),
  adm_scaler_positive: optional(number({ min: 0.1, max: 3 }), 1.5),
  adm_scaler_negative: optional(number({ min: 0.1, max: 3 }), 0.8),
  adm_scaler_end: optional(number({ min: 0, max: 1 }), 0.3),
  adaptive_cfg: optional(number({ min: 1, max: 30 }), 7),
  clip_skip: optional(integer({ min: 1, max: 12 }), 2),
  sampler_name: optional(string(), 'dpmpp_2m_sde_gpu'),
  scheduler_name: optional(string(), 'karras'),
  overwrite_step: optional(integer({ min: -1, max: 200 }), -1),
  // The documentation says a step up to 200, the source a number up to 1.
  overwrite_switch: optional(number({ min: -1, max: 200 }), -1),
  overwrite_width: optional(integer({ min: -1, max: 2048 }), -1),
  overwrite_height: optional(integer({ min: -1, max: 2048 }), -1),
  overwrite_vary_strength: optional(number({ min: -1, max: 1 }), -1),
  overwrite_upscale_strength: optional(number({ min: -1, max: 1 }), -1),
  mixing_image_prompt_and_vary_upscale: optional(boolean(), false),
  mixing_image_prompt_and_inpaint: optional(boolean(), false),
  debugging_cn_preprocessor: optional(boolean(), false),
  skipping_cn_preprocessor: optional(boolean(), false),
  canny_low_threshold: optional(integer({ min: 1, max: 255 }), 64),
  canny_high_threshold: optional(integer({ min: 1, max: 255 }), 128),
  refiner_swap_method: optional(string(), 'joint'),
  controlnet_softness: optional(number({ min: 0, max: 1 }), 0.25),
  freeu_enabled: optional(boolean(), false),
  freeu_b1: optional(number(), 1.01),
  freeu_b2: optional(number(), 1.02),
  freeu_s1: optional(number(), 0.99),
  freeu_s2: optional(number(), 0.95),
  debugging_inpaint_preprocessor: optional(boolean(), false),
  inpaint_disable_initial_latent: optional(boolean(), false),
  inpaint_engine: optional(string(), 'v2.6'),
  inpaint_strength: optional(number({ min: 0, max: 1 }), 1),
  inpaint_respective_field: optional(number({ min: 0, max: 1 }), 1),
  inpaint_advanced_masking_checkbox: optional(boolean(), true),
  inpaint_mask_upload_checkbox: optional(boolean(), false),
  invert_mask_checkbox: optional(boolean(), false),
  inpaint_erode_or_dilate: optional(integer({ min: -64, max: 64 }), 0),
  black_out_nsfw: optional(boolean(), false),
  vae_name: optional(string(), 'Default (model)'),
  debugging_dino: optional(boolean(), false),
  dino_erode_or_dilate: optional(integer({ min: -64, max: 64 }), 0),
  debugging_enhance_masks_checkbox: optional(boolean(), false),
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
  prompt: optional(string(), ''),
  negative_prompt: optional(string(), ''),
  performance_selection: optional(oneOf(performanceNames), 'Speed'),
  aspect_ratios_selection: v.nullish(aspectRatio, '1152*896'),
  image_number: optional(integer({ min: 1, max: 32 }), 1),
  image_seed: optional(bigInteger(), -1n),
  sharpness: optional(number({ min: 0, max: 30 }), 2),
  base_model_name: optional(string(), 'juggernautXL_v8Rundiffusion.safetensors'),
  refiner_model_name: optional(string(), 'None'),
  refiner_switch: optional(number({ min: 0.1, max: 1 }), 0.5),
  meta_scheme: v.nullish(metaScheme, 'fooocus'),
  save_extension: v.nullish(saveExtension, 'png'),
  save_name: v.nullish(saveName, ''),
  read_wildcards_in_order: optional(boolean(), false),
  require_base64: optional(boolean(), false),
  async_process: optional(boolean(), false),
  webhook_url: optional(string(), ''),
};

/** What every generation takes as JSON. */
export const commonJson = {
  ...shared,
  style_selections: v.nullish(list(string()), defaultStyles),
  guidance_scale: optional(number({ min: 1, max: 30 }), 4),
  loras: v.nullish(list(lora), defaultLoras),
  advanced_params: v.nullish(advancedParams, {}),
  save_meta: optional(boolean(), true),
};

/** What every generation takes as a form. */
export const commonForm = {
  ...shared,
  style_selections: v.nullish(commaList(string()), defaultStyles),
  guidance_scale: optional(number({ min: 1, max: 30 }), 7),
  loras: v.nullish(jsonPart(list(lora)), defaultLoras),
  // The source takes all defaults where a part is not what it should be.
  advanced_params: v.nullish(
    v.fallback(jsonPart(advancedParams), () => v.parse(advancedParams, {})),
    {},
  ),
  save_meta: optional(boolean(), false),
};

/** `POST /v1/generation/text-to-image`. */
export const textToImage = model(commonJson);

export type CommonRequest = v.InferOutput<typeof textToImage>;

/** Overrides the `Accept` header of a generation. */
export const generationQuery = model({ accept: optional(string(), '') });

export const queryJob = model({
  job_id: string(),
  require_step_preview: optional(boolean(), false),
});

export const jobHistory = model({
  job_id: optional(string(), ''),
  page: optional(integer(), 0),
  page_size: optional(integer(), 20),
  delete: optional(boolean(), false),
});

const imageResult = v.object({
  base64: v.nullable(v.string()),
  url: v.nullable(v.string()),
  seed: v.string(),
  finish_reason: v.picklist(['SUCCESS', 'QUEUE_IS_FULL', 'USER_CANCEL', 'ERROR']),
});

/** An image, or why there is none. */
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
