import { honoured, param, parameters, partOf, requiredParam, type BodyOf } from '#api/parameters.ts';
import * as v from 'valibot';
import { commaList, fields, form } from './fields.ts';
import { formImage, jsonImage, requiredFormImage } from './image-fields.ts';
import { commonForm, commonJson } from './schema.ts';

/* Requests for images from images. Those of `/v1/` are forms, those of `/v2/` JSON. */

const { integer, list, model, number, oneOf, optional, string } = fields;

export const upscaleOrVaryMethods = [
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

export type ImagePromptType = (typeof imagePromptTypes)[number];

const ofImage = partOf('input_image');

const imagePrompts = list(
  model({
    cn_img: v.nullish(jsonImage, 'None'),
    cn_stop: optional(number({ min: 0, max: 1 }), 0),
    cn_weight: optional(number({ min: 0, max: 2 }), 0),
    cn_type: optional(oneOf(imagePromptTypes), 'ImagePrompt'),
  }),
);

const IMAGE_PROMPTS = 'Image prompts';

const optionalImagePrompts = {
  image_prompts: param(imagePrompts, [], honoured, IMAGE_PROMPTS),
};

const outpaintDistances = (initial: number) => ({
  outpaint_distance_left: param(integer(), initial, ofImage, 'Pixels to add at the left'),
  outpaint_distance_right: param(integer(), initial, ofImage, 'Pixels to add at the right'),
  outpaint_distance_top: param(integer(), initial, ofImage, 'Pixels to add at the top'),
  outpaint_distance_bottom: param(integer(), initial, ofImage, 'Pixels to add at the bottom'),
});

const INIT_IMAGE = 'Image to start from';
const MASK = 'Mask: white is inpainted';
const METHOD = 'Upscale or vary, and how much';
const FACTOR = 'Factor of Upscale (Custom)';
const OUTPAINT = 'Sides to outpaint';
const ADDITIONAL_PROMPT = 'What to generate inside the mask';

/** `POST /v2/generation/text-to-image-with-ip`. */
export const textToImageWithImagePrompts = parameters({ ...commonJson, ...optionalImagePrompts });

/** `POST /v2/generation/image-upscale-vary`. */
export const upscaleOrVary = parameters({
  ...commonJson,
  input_image: requiredParam(jsonImage, honoured, INIT_IMAGE),
  uov_method: param(oneOf(upscaleOrVaryMethods), 'Upscale (2x)', ofImage, METHOD),
  upscale_value: param(number({ min: 1, max: 5 }), 1, ofImage, FACTOR),
  ...optionalImagePrompts,
});

const inpaintJson = {
  input_image: param(jsonImage, '', honoured, INIT_IMAGE),
  input_mask: param(jsonImage, '', ofImage, MASK),
  inpaint_additional_prompt: param(string(), '', ofImage, ADDITIONAL_PROMPT),
  outpaint_selections: param(list(oneOf(sides)), [], ofImage, OUTPAINT),
  ...outpaintDistances(-1),
};

/** `POST /v2/generation/image-inpaint-outpaint`. */
export const inpaintOrOutpaint = parameters({ ...commonJson, ...inpaintJson, ...optionalImagePrompts });

/** `POST /v2/generation/image-prompt`. */
export const imagePromptRequest = parameters({
  ...commonJson,
  ...inpaintJson,
  image_prompts: requiredParam(imagePrompts, honoured, IMAGE_PROMPTS),
});

/** `POST /v1/generation/image-upscale-vary`, a form. */
export const upscaleOrVaryForm = form({
  ...commonForm,
  input_image: requiredParam(requiredFormImage, honoured, INIT_IMAGE),
  uov_method: requiredParam(oneOf(upscaleOrVaryMethods), ofImage, METHOD),
  upscale_value: param(number({ min: 1, max: 5 }), null, ofImage, FACTOR),
});

const inpaintForm = {
  input_mask: param(formImage, null, ofImage, MASK),
  inpaint_additional_prompt: param(string(), '', ofImage, ADDITIONAL_PROMPT),
  outpaint_selections: param(commaList(oneOf(sides)), [], ofImage, OUTPAINT),
  ...outpaintDistances(0),
};

/** `POST /v1/generation/image-inpaint-outpaint`, a form. */
export const inpaintOrOutpaintForm = form({
  ...commonForm,
  ...inpaintForm,
  input_image: requiredParam(requiredFormImage, honoured, INIT_IMAGE),
});

type Numbered<Rows, Index extends number> = {
  [Name in keyof Rows & string as `${Name}${Index}`]: Rows[Name];
};

/** One of the four image prompts of a form. */
function formImagePrompt<Index extends 1 | 2 | 3 | 4>(index: Index) {
  const ofThis = partOf(`cn_img${index}`);
  const rows = {
    cn_img: param(formImage, null, honoured, `Image prompt ${index}`),
    cn_stop: param(number({ min: 0, max: 1 }), null, ofThis, 'Fraction of the steps at which it ends'),
    cn_weight: param(number({ min: 0, max: 2 }), null, ofThis, 'Weight'),
    cn_type: param(oneOf(imagePromptTypes), 'ImagePrompt', ofThis, 'What is used of it'),
  };
  const named = Object.entries(rows).map(([name, row]) => [`${name}${index}`, row]);
  return Object.fromEntries(named) as Numbered<typeof rows, Index>;
}

/** `POST /v1/generation/image-prompt`, a form. */
export const imagePromptForm = form({
  ...formImagePrompt(1),
  ...formImagePrompt(2),
  ...formImagePrompt(3),
  ...formImagePrompt(4),
  ...commonForm,
  ...inpaintForm,
  input_image: param(formImage, null, honoured, INIT_IMAGE),
});

export type UpscaleOrVaryBody = BodyOf<typeof upscaleOrVary> | BodyOf<typeof upscaleOrVaryForm>;
export type InpaintBody = BodyOf<typeof inpaintOrOutpaint> | BodyOf<typeof inpaintOrOutpaintForm>;
export type ImagePromptBody = BodyOf<typeof imagePromptRequest>;
export type ImagePromptFormBody = BodyOf<typeof imagePromptForm>;
