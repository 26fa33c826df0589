import {
  honoured,
  noEffect,
  param,
  parameters,
  partOf,
  requiredParam,
  type BodyOf,
  type Rows,
} from '#api/parameters.ts';
import { fields, form } from './fields.ts';
import { upscaleOrVaryMethods } from './image-bodies.ts';
import { formImage, jsonImage, requiredFormImage } from './image-fields.ts';
import { commonForm, commonJson } from './schema.ts';

/* Requests for finding and describing what is in images. */

const { boolean, integer, list, number, oneOf, string } = fields;

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

export type MaskModel = (typeof maskModels)[number];

const processingOrders = ['Before First Enhancement', 'After Last Enhancement'] as const;
const promptTypes = ['Original Prompts', 'Last Filled Enhancement Prompts'] as const;

const noSam = noEffect('what is installed outlines what is found');
const noWords = noEffect('it only chooses the words that finds are labelled with');
const noClothes = noEffect('nothing here finds clothes');

const share = () => number({ min: 0, max: 1 });

const ofImage = partOf('enhance_input_image');

const enhanceOrder = {
  enhance_checkbox: param(boolean(), true, noEffect('this route always enhances'), 'Enhance'),
  enhance_uov_method: param(
    oneOf(upscaleOrVaryMethods),
    'Vary (Strong)',
    ofImage,
    'Upscale or vary, and how much',
  ),
  enhance_uov_processing_order: param(
    oneOf(processingOrders),
    'Before First Enhancement',
    ofImage,
    'When that is done',
  ),
  enhance_uov_prompt_type: param(
    oneOf(promptTypes),
    'Original Prompts',
    ofImage,
    'Prompts of upscaling or varying at the end',
  ),
};

/** The parameters of one enhancement; a form appends its number to each name. */
const enhancement = (maskPrompt: string) => ({
  enhance_enabled: param(boolean(), false, ofImage, 'Whether it is done'),
  enhance_mask_dino_prompt: param(string(), maskPrompt, ofImage, 'What to find'),
  enhance_prompt: param(string(), '', ofImage, 'What to generate there'),
  enhance_negative_prompt: param(string(), '', ofImage, 'What to avoid there'),
  enhance_mask_model: param(oneOf(maskModels), 'sam', ofImage, 'Model that finds it'),
  enhance_mask_cloth_category: param(string(), 'full', noClothes, 'Clothes to find'),
  enhance_mask_sam_model: param(string(), 'vit_b', noSam, 'SAM model'),
  enhance_mask_text_threshold: param(share(), 0.25, noWords, 'Certainty of the words'),
  enhance_mask_box_threshold: param(share(), 0.3, ofImage, 'Certainty of the place'),
  enhance_mask_sam_max_detections: param(
    integer({ min: 0, max: 10 }),
    0,
    ofImage,
    'Most things to find; 0 all',
  ),
  enhance_inpaint_disable_initial_latent: param(boolean(), false, ofImage, 'Start from pure noise'),
  enhance_inpaint_engine: param(string(), 'v2.6', ofImage, 'Inpaint patch, where it is installed'),
  enhance_inpaint_strength: param(share(), 1, ofImage, 'Denoising strength'),
  enhance_inpaint_respective_field: param(share(), 0.618, ofImage, 'How much around it is looked at'),
  enhance_inpaint_erode_or_dilate: param(
    number({ min: -64, max: 64 }),
    0,
    ofImage,
    'Grow or shrink the mask, in pixels',
  ),
  enhance_mask_invert: param(boolean(), false, ofImage, 'Invert the mask'),
});

/** One enhancement as JSON has it. */
export const enhancementBody = parameters(enhancement('face'));

/** One enhancement as a form has it, without the numbers in its names. */
export const enhancementForm = parameters(enhancement(''));

export type Enhancement = BodyOf<typeof enhancementBody>;

/** Enhancements of one request. */
export const MOST_ENHANCEMENTS = 3;

/** `{name: row}` → `{name_1: row}`. */
function numbered(rows: Rows, suffix: string): Rows {
  return Object.fromEntries(Object.entries(rows).map(([name, row]) => [`${name}${suffix}`, row]));
}

/** `POST /v2/generation/image-enhance`. */
export const enhanceImage = parameters({
  ...commonJson,
  ...enhanceOrder,
  enhance_input_image: param(jsonImage, '', honoured, 'Image to enhance'),
  save_final_enhanced_image_only: param(
    boolean(),
    true,
    noEffect('the answer has the last image only'),
    'Answer with the last image only',
  ),
  enhance_ctrlnets: requiredParam(list(enhancementBody.schema), ofImage, 'Enhancements'),
});

/** `POST /v1/generation/image-enhance`, a form. */
export const enhanceImageForm = form({
  ...commonForm,
  ...enhanceOrder,
  enhance_input_image: param(formImage, null, honoured, 'Image to enhance'),
  ...numbered(enhancement(''), '_1'),
  ...numbered(enhancement(''), '_2'),
  ...numbered(enhancement(''), '_3'),
});

/** `POST /v1/tools/describe-image`, a form. */
export const describeImageForm = parameters({
  image: requiredParam(requiredFormImage, honoured, 'Image to describe'),
});

const imageTypes = ['Photo', 'Anime'] as const;

/** Its query. The documentation calls the parameter `type`. */
export const describeImageQuery = parameters({
  image_type: param(
    oneOf(imageTypes),
    null,
    honoured,
    '`Photo`, the default, or `Anime`: a caption, or tags',
  ),
  type: param(oneOf(imageTypes), null, honoured, 'The same'),
});

/** `POST /v1/tools/generate_mask`. */
export const generateMask = parameters({
  image: requiredParam(jsonImage, honoured, 'Image to find something in'),
  mask_model: param(oneOf(maskModels), 'isnet-general-use', honoured, 'Model that finds things'),
  cloth_category: param(string(), 'full', noClothes, 'Clothes to find'),
  dino_prompt_text: param(string(), '', honoured, 'What to find'),
  sam_model: param(string(), 'vit_b', noSam, 'SAM model'),
  box_threshold: param(share(), 0.3, honoured, 'Certainty of the place'),
  text_threshold: param(share(), 0.25, noWords, 'Certainty of the words'),
  sam_max_detections: param(integer({ min: 0, max: 10 }), 0, honoured, 'Most things to find; 0 all'),
  dino_erode_or_dilate: param(
    number({ min: -64, max: 64 }),
    0,
    honoured,
    'Grow or shrink the mask, in pixels',
  ),
  dino_debug: param(boolean(), false, honoured, 'Answer with the rectangles of what was found'),
});

export type EnhanceBody = BodyOf<typeof enhanceImage>;
export type EnhanceFormBody = BodyOf<typeof enhanceImageForm>;
