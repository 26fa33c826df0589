import * as v from 'valibot';
import { parseJson } from '#codecs/json.ts';
import { defineFields, type Field } from '#api/fields.ts';
import { pydantic2 } from '#api/fastapi.ts';
import { metadataSchemes } from './metadata.ts';
import { performances } from './performance.ts';

const { bigInteger, boolean, integer, list, model, number, oneOf, optional, string } =
  defineFields(pydantic2);

/** The styles of Fooocus's default preset. */
export const defaultStyles = ['Fooocus V2', 'Fooocus Enhance', 'Fooocus Sharp'];

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

/** `W*H`, further factors unread as in the source. The picture's sides are multiples of 8. */
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

const jsonOnly = {
  ...shared,
  style_selections: v.nullish(list(string()), defaultStyles),
  guidance_scale: optional(number({ min: 1, max: 30 }), 4),
  loras: v.nullish(list(lora), defaultLoras),
  advanced_params: v.nullish(advancedParams, {}),
  save_meta: optional(boolean(), true),
};

/** One or several parts, each a list with commas. */
function commaList<T>(item: Field<T>): Field<T[]> {
  return v.pipe(
    v.unknown(),
    v.transform((value) =>
      (Array.isArray(value) ? value : [value]).flatMap((part: unknown) =>
        typeof part === 'string'
          ? part
              .split(',')
              .map((word) => word.trim())
              .filter(Boolean)
          : [part],
      ),
    ),
    list(item),
  );
}

/** A part with JSON. */
function jsonPart<T>(field: Field<T>): Field<T> {
  return v.pipe(
    v.unknown(),
    v.transform((value) => {
      if (typeof value !== 'string') return value;
      try {
        return parseJson(value);
      } catch {
        return value;
      }
    }),
    field,
  );
}

/** The empty parts of a form count as absent, but for those that are lists. */
function form<const Entries extends v.ObjectEntries>(entries: Entries) {
  return v.pipe(
    v.unknown(),
    v.transform((parts) =>
      typeof parts === 'object' && parts !== null
        ? Object.fromEntries(
            Object.entries(parts).filter(([name, value]) => value !== '' || LISTS.includes(name)),
          )
        : parts,
    ),
    model(entries),
  );
}

const LISTS = ['style_selections', 'outpaint_selections'];

const formOnly = {
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
export const textToImage = model(jsonOnly);

export type CommonRequest = v.InferOutput<typeof textToImage>;

/** A picture in JSON: its bytes in base64, or where to get it; null stands for no picture. */
export type ImageSource = { base64: string } | { url: string } | null;

const NO_IMAGE = ['', 'None', 'none', 'null', 'string'];

/** Whether a value as sent stands for a picture. */
export function isImage(value: unknown): boolean {
  if (typeof value === 'string') return !NO_IMAGE.includes(value);
  return value instanceof Blob && value.size > 0;
}

const jsonImage: Field<ImageSource> = v.pipe(
  string(),
  v.rawTransform(({ dataset, addIssue, NEVER }): ImageSource => {
    const text = dataset.value;
    if (NO_IMAGE.includes(text)) return null;
    if (text.startsWith('http')) return { url: text };
    const base64 = text.replace(/^data:image[^,]*,/, '').replace(/\s+/g, '');
    if (/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return { base64 };
    addIssue({ message: 'Value error, should be an image in base64' });
    return NEVER;
  }),
);

/** A file part; one without a name counts as absent. */
const formImage: Field<Blob | null> = v.pipe(
  v.unknown(),
  v.transform((value) => (value instanceof File && value.name === '' && value.size === 0 ? null : value)),
  v.nullable(v.instance(Blob, "Value error, Expected UploadFile, received: <class 'str'>")),
);

const requiredFormImage = v.pipe(formImage, v.instance(Blob, 'missing'));

const upscaleOrVaryMethods = [
  'Disabled',
  'Vary (Subtle)',
  'Vary (Strong)',
  'Upscale (1.5x)',
  'Upscale (2x)',
  'Upscale (Fast 2x)',
  'Upscale (Custom)',
] as const;

const sides = ['Left', 'Right', 'Top', 'Bottom'] as const;
const imagePromptTypes = ['ImagePrompt', 'FaceSwap', 'PyraCanny', 'CPDS'] as const;
const maskModels = [
  'u2net',
  'u2netp',
  'u2net_human_seg',
  'u2net_cloth_seg',
  'silueta',
  'isnet-general-use',
  'isnet-anime',
  'sam',
] as const;

const imagePrompt = model({
  cn_img: v.nullish(jsonImage, 'None'),
  cn_stop: optional(number({ min: 0, max: 1 }), 0),
  cn_weight: optional(number({ min: 0, max: 2 }), 0),
  cn_type: optional(oneOf(imagePromptTypes), 'ImagePrompt'),
});

const imagePrompts = list(imagePrompt);

const outpaintDistances = (initial: number) => ({
  outpaint_distance_left: optional(integer(), initial),
  outpaint_distance_right: optional(integer(), initial),
  outpaint_distance_top: optional(integer(), initial),
  outpaint_distance_bottom: optional(integer(), initial),
});

const enhanceOrder = {
  enhance_checkbox: optional(boolean(), true),
  enhance_uov_method: optional(oneOf(upscaleOrVaryMethods), 'Vary (Strong)'),
  enhance_uov_processing_order: optional(string(), 'Before First Enhancement'),
  enhance_uov_prompt_type: optional(string(), 'Original Prompts'),
};

/** The fields of one enhancement; a form puts its number behind each name. */
const enhancement = (maskPrompt: string) => ({
  enhance_enabled: optional(boolean(), false),
  enhance_mask_dino_prompt: optional(string(), maskPrompt),
  enhance_prompt: optional(string(), ''),
  enhance_negative_prompt: optional(string(), ''),
  enhance_mask_model: optional(oneOf(maskModels), 'sam'),
  enhance_mask_cloth_category: optional(string(), 'full'),
  enhance_mask_sam_model: optional(string(), 'vit_b'),
  enhance_mask_text_threshold: optional(number({ min: 0, max: 1 }), 0.25),
  enhance_mask_box_threshold: optional(number({ min: 0, max: 1 }), 0.3),
  enhance_mask_sam_max_detections: optional(integer({ min: 0, max: 10 }), 0),
  enhance_inpaint_disable_initial_latent: optional(boolean(), false),
  enhance_inpaint_engine: optional(string(), 'v2.6'),
  enhance_inpaint_strength: optional(number({ min: 0, max: 1 }), 1),
  enhance_inpaint_respective_field: optional(number({ min: 0, max: 1 }), 0.618),
  enhance_inpaint_erode_or_dilate: optional(number({ min: -64, max: 64 }), 0),
  enhance_mask_invert: optional(boolean(), false),
});

/** `{name: field}` → `{name_1: field}`. */
function numbered(entries: v.ObjectEntries, suffix: number | string): v.ObjectEntries {
  return Object.fromEntries(Object.entries(entries).map(([name, field]) => [`${name}${suffix}`, field]));
}

/** `POST /v2/generation/text-to-image-with-ip`. */
export const textToImageWithImagePrompts = model({ ...jsonOnly, image_prompts: v.nullish(imagePrompts, []) });

/** `POST /v2/generation/image-upscale-vary`. */
export const upscaleOrVary = model({
  ...jsonOnly,
  input_image: jsonImage,
  uov_method: optional(oneOf(upscaleOrVaryMethods), 'Upscale (2x)'),
  upscale_value: optional(number({ min: 1, max: 5 }), 1),
  image_prompts: v.nullish(imagePrompts, []),
});

const inpaintFields = {
  input_image: v.nullish(jsonImage, ''),
  input_mask: v.nullish(jsonImage, ''),
  inpaint_additional_prompt: optional(string(), ''),
  outpaint_selections: v.nullish(list(oneOf(sides)), []),
  ...outpaintDistances(-1),
};

/** `POST /v2/generation/image-inpaint-outpaint`. */
export const inpaintOrOutpaint = model({
  ...jsonOnly,
  ...inpaintFields,
  image_prompts: v.nullish(imagePrompts, []),
});

/** `POST /v2/generation/image-prompt`. */
export const imagePromptRequest = model({ ...jsonOnly, ...inpaintFields, image_prompts: imagePrompts });

/** `POST /v2/generation/image-enhance`. */
export const enhanceImage = model({
  ...jsonOnly,
  ...enhanceOrder,
  enhance_input_image: v.nullish(jsonImage, ''),
  save_final_enhanced_image_only: optional(boolean(), true),
  enhance_ctrlnets: list(model(enhancement('face'))),
});

/** `POST /v1/generation/image-upscale-vary`, a form. */
export const upscaleOrVaryForm = form({
  ...formOnly,
  input_image: requiredFormImage,
  uov_method: oneOf(upscaleOrVaryMethods),
  upscale_value: optional(number({ min: 1, max: 5 }), null),
});

const inpaintFormFields = {
  input_mask: v.nullish(formImage, null),
  inpaint_additional_prompt: optional(string(), ''),
  outpaint_selections: v.nullish(commaList(oneOf(sides)), []),
  ...outpaintDistances(0),
};

/** `POST /v1/generation/image-inpaint-outpaint`, a form. */
export const inpaintOrOutpaintForm = form({
  ...formOnly,
  ...inpaintFormFields,
  input_image: requiredFormImage,
});

const formImagePrompt = {
  cn_img: v.nullish(formImage, null),
  cn_stop: optional(number({ min: 0, max: 1 }), null),
  cn_weight: optional(number({ min: 0, max: 2 }), null),
  cn_type: optional(oneOf(imagePromptTypes), 'ImagePrompt'),
};

/** `POST /v1/generation/image-prompt`, a form. */
export const imagePromptForm = form({
  ...formOnly,
  ...inpaintFormFields,
  input_image: v.nullish(formImage, null),
  ...numbered(formImagePrompt, 1),
  ...numbered(formImagePrompt, 2),
  ...numbered(formImagePrompt, 3),
  ...numbered(formImagePrompt, 4),
});

/** `POST /v1/generation/image-enhance`, a form. */
export const enhanceImageForm = form({
  ...formOnly,
  ...enhanceOrder,
  enhance_input_image: v.nullish(formImage, null),
  ...numbered(enhancement(''), '_1'),
  ...numbered(enhancement(''), '_2'),
  ...numbered(enhancement(''), '_3'),
});

/** `POST /v1/tools/describe-image`, a form; its query. The documentation calls the parameter `type`. */
export const describeImageForm = model({ image: requiredFormImage });
const imageTypes = ['Photo', 'Anime'] as const;
export const describeImageQuery = model({
  image_type: optional(oneOf(imageTypes), 'Photo'),
  type: optional(oneOf(imageTypes), 'Photo'),
});

/** `POST /v1/tools/generate_mask`. */
export const generateMask = model({
  image: jsonImage,
  mask_model: optional(oneOf(maskModels), 'isnet-general-use'),
  cloth_category: optional(string(), 'full'),
  dino_prompt_text: optional(string(), ''),
  sam_model: optional(string(), 'vit_b'),
  box_threshold: optional(number({ min: 0, max: 1 }), 0.3),
  text_threshold: optional(number({ min: 0, max: 1 }), 0.25),
  sam_max_detections: optional(integer({ min: 0, max: 10 }), 0),
  dino_erode_or_dilate: optional(number({ min: -64, max: 64 }), 0),
  dino_debug: optional(boolean(), false),
});

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

/** A picture, or why there is none. */
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
