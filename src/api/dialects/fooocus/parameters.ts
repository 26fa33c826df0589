import {
  detailOf,
  honoured,
  ignored,
  refused,
  type ParameterRule,
  type ParameterTable,
} from '#api/parameters.ts';
import { isImage } from './image-schema.ts';

const IMAGE_PROMPTS = 'image prompts (IP-Adapter or ControlNet)';
const DRAWING_OVER = 'drawing over an image';
const INPAINTING = 'inpainting';

const imagesFor = detailOf('input_image', DRAWING_OVER);
const inpainting = detailOf('input_image', INPAINTING);
const controlImages = detailOf('image_prompts', IMAGE_PROMPTS);
const enhancing = detailOf('enhance_input_image', 'finding things in an image');
const noRefiner = ignored('refiners are SDXL models of their own');
const sdxlOnly = ignored('scales a conditioning that SDXL models have');

/** What each parameter that all generations share does here. */
export const commonParameters: ParameterTable = {
  prompt: honoured,
  negative_prompt: honoured,
  style_selections: honoured,
  performance_selection: honoured,
  aspect_ratios_selection: honoured,
  image_number: honoured,
  image_seed: honoured,
  sharpness: ignored("Fooocus's own sharpening between the steps"),
  guidance_scale: honoured,
  base_model_name: honoured,
  refiner_model_name: ignored(
    'refiners are SDXL models of their own; as in the original, a file that is not there is no refiner',
    (value) => value !== '' && value !== 'None',
  ),
  refiner_switch: noRefiner,
  loras: honoured,
  advanced_params: honoured,
  save_meta: honoured,
  meta_scheme: honoured,
  save_extension: honoured,
  save_name: honoured,
  read_wildcards_in_order: honoured,
  require_base64: honoured,
  async_process: honoured,
  webhook_url: honoured,
};

/** What each field of `advanced_params` does here. */
export const advancedParameters: ParameterTable = {
  disable_preview: honoured,
  disable_intermediate_results: ignored('images are told when all are finished, with it or without'),
  disable_seed_increment: honoured,
  adm_scaler_positive: sdxlOnly,
  adm_scaler_negative: sdxlOnly,
  adm_scaler_end: sdxlOnly,
  adaptive_cfg: ignored("Fooocus's own tempering of high guidance"),
  clip_skip: honoured,
  sampler_name: honoured,
  scheduler_name: honoured,
  overwrite_step: honoured,
  overwrite_switch: noRefiner,
  overwrite_width: honoured,
  overwrite_height: honoured,
  overwrite_vary_strength: imagesFor,
  overwrite_upscale_strength: imagesFor,
  mixing_image_prompt_and_vary_upscale: imagesFor,
  mixing_image_prompt_and_inpaint: imagesFor,
  debugging_cn_preprocessor: controlImages,
  skipping_cn_preprocessor: controlImages,
  canny_low_threshold: controlImages,
  canny_high_threshold: controlImages,
  refiner_swap_method: noRefiner,
  controlnet_softness: controlImages,
  freeu_enabled: honoured,
  freeu_b1: honoured,
  freeu_b2: honoured,
  freeu_s1: honoured,
  freeu_s2: honoured,
  debugging_inpaint_preprocessor: inpainting,
  inpaint_disable_initial_latent: inpainting,
  inpaint_engine: inpainting,
  inpaint_strength: inpainting,
  inpaint_respective_field: inpainting,
  inpaint_advanced_masking_checkbox: inpainting,
  inpaint_mask_upload_checkbox: inpainting,
  invert_mask_checkbox: inpainting,
  inpaint_erode_or_dilate: inpainting,
  black_out_nsfw: ignored('nothing leaves the machine, and nothing is judged'),
  vae_name: honoured,
  debugging_dino: enhancing,
  dino_erode_or_dilate: enhancing,
  debugging_enhance_masks_checkbox: enhancing,
};

/** `{cn_img: rule, cn_stop: rule …}` for the four images of a form. */
function numbered(names: readonly string[], rule: ParameterRule): ParameterTable {
  return Object.fromEntries(names.flatMap((name) => [1, 2, 3, 4].map((n) => [`${name}${n}`, rule])));
}

function detailsOf(parameter: string, needs: string, names: readonly string[]): ParameterTable {
  return Object.fromEntries(names.map((name) => [name, detailOf(parameter, needs)]));
}

/** `image_prompts`, and a form's fields in their place. */
export const imagePromptParameters: ParameterTable = {
  image_prompts: refused(
    IMAGE_PROMPTS,
    (value) =>
      Array.isArray(value) &&
      value.some(
        (item: unknown) => typeof item === 'object' && item !== null && isImage(Reflect.get(item, 'cn_img')),
      ),
  ),
  ...numbered(['cn_img'], refused(IMAGE_PROMPTS, isImage)),
  ...numbered(['cn_stop', 'cn_weight', 'cn_type'], detailOf('cn_img', IMAGE_PROMPTS)),
};

export const upscaleOrVaryParameters: ParameterTable = {
  ...imagePromptParameters,
  input_image: refused(DRAWING_OVER, isImage),
  ...detailsOf('input_image', DRAWING_OVER, ['uov_method', 'upscale_value']),
};

export const inpaintParameters: ParameterTable = {
  ...imagePromptParameters,
  input_image: refused(INPAINTING, isImage),
  ...detailsOf('input_image', INPAINTING, [
    'input_mask',
    'inpaint_additional_prompt',
    'outpaint_selections',
    'outpaint_distance_left',
    'outpaint_distance_right',
    'outpaint_distance_top',
    'outpaint_distance_bottom',
  ]),
};
