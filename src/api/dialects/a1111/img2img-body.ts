import { honoured, noEffect, param, parameters, partOf, type BodyOf } from '#api/parameters.ts';
import { f } from './fields.ts';
import { leadingRows, namingRows, trailingRows } from './generation-rows.ts';

const ofHires = noEffect('hires fix belongs to txt2img, in the original too');
const ofEditModels = noEffect('there is no InstructPix2Pix model');
const ofMask = partOf('mask');

/** `POST /sdapi/v1/img2img`, in the order in which the answer's `parameters` repeats it. */
export const img2imgBody = parameters({
  ...leadingRows,
  denoising_strength: param(f.number(), 0.75, honoured, 'Denoising strength, 0 to 1'),
  firstpass_image: param(f.string(), null, ofHires, 'Image to use instead of the first pass'),
  init_images: param(f.list(f.string()), null, honoured, 'Init images: base64, data URIs or URLs'),
  resize_mode: param(
    f.integer(),
    0,
    honoured,
    '0 resizes, 1 crops and resizes, 2 resizes and fills, 3 resizes the latents',
  ),
  image_cfg_scale: param(f.number(), null, ofEditModels, 'CFG scale of the init image'),
  mask: param(f.string(), null, honoured, 'Mask: white is inpainted'),
  mask_blur_x: param(f.integer(), 4, ofMask, 'Horizontal mask blur, sigma in pixels'),
  mask_blur_y: param(f.integer(), 4, ofMask, 'Vertical mask blur, sigma in pixels'),
  mask_blur: param(f.integer(), null, ofMask, 'Both of them'),
  mask_round: param(f.boolean(), true, ofMask, 'Round the latent mask to 0 or 1'),
  inpainting_fill: param(
    f.integer(),
    0,
    ofMask,
    'What is masked starts from: 0 its surroundings, 1 the init image, 2 noise, 3 nothing',
  ),
  inpaint_full_res: param(f.boolean(), true, ofMask, 'Generate only the masked area, at the full size'),
  inpaint_full_res_padding: param(f.integer(), 0, ofMask, 'Pixels around the masked area'),
  inpainting_mask_invert: param(f.integer(), 0, ofMask, '1 inpaints the unmasked area instead'),
  initial_noise_multiplier: param(f.number(), null, honoured, 'Multiplier of the added noise'),
  latent_mask: param(f.string(), null, honoured, 'Mask for the latents only; nothing is pasted back'),
  ...namingRows,
  include_init_images: param(f.boolean(), false, honoured, 'Repeat init_images and mask in the answer'),
  ...trailingRows,
});

export type Img2imgBody = BodyOf<typeof img2imgBody>;
