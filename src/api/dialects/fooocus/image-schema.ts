import type { Field } from '#api/fields.ts';
import * as v from 'valibot';
import { commaList, fields, form } from './fields.ts';
import { commonForm, commonJson } from './schema.ts';

/* Requests that start from images. Those of `/v1/` are forms, those of `/v2/` JSON. */

const { boolean, integer, list, model, number, oneOf, optional, string } = fields;

/** An image in JSON: its bytes in base64, or where to get it; null stands for no image. */
export type ImageSource = { base64: string } | { url: string } | null;

const NO_IMAGE = ['', 'None', 'none', 'null', 'string'];

/** Whether a value as sent stands for an image. */
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
export const textToImageWithImagePrompts = model({
  ...commonJson,
  image_prompts: v.nullish(imagePrompts, []),
});

/** `POST /v2/generation/image-upscale-vary`. */
export const upscaleOrVary = model({
  ...commonJson,
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
  ...commonJson,
  ...inpaintFields,
  image_prompts: v.nullish(imagePrompts, []),
});

/** `POST /v2/generation/image-prompt`. */
export const imagePromptRequest = model({ ...commonJson, ...inpaintFields, image_prompts: imagePrompts });

/** `POST /v2/generation/image-enhance`. */
export const enhanceImage = model({
  ...commonJson,
  ...enhanceOrder,
  enhance_input_image: v.nullish(jsonImage, ''),
  save_final_enhanced_image_only: optional(boolean(), true),
  enhance_ctrlnets: list(model(enhancement('face'))),
});

/** `POST /v1/generation/image-upscale-vary`, a form. */
export const upscaleOrVaryForm = form({
  ...commonForm,
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
  ...commonForm,
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
  ...commonForm,
  ...inpaintFormFields,
  input_image: v.nullish(formImage, null),
  ...numbered(formImagePrompt, 1),
  ...numbered(formImagePrompt, 2),
  ...numbered(formImagePrompt, 3),
  ...numbered(formImagePrompt, 4),
});

/** `POST /v1/generation/image-enhance`, a form. */
export const enhanceImageForm = form({
  ...commonForm,
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
