import type { Pixels, Region } from '#imaging/pixels.ts';
import { toGrey } from '#imaging/pillow/convert.ts';
import { crop } from '#imaging/pillow/paste.ts';
import type { Size } from '#protocol/job.ts';
import { boundedMode, prepareInpaintMask, type InpaintMaskRequest } from './inpaint-mask.ts';
import { cutOut, fillMasked } from './mask.ts';
import { flatten, resizeImage, resizeImageWith, type ResizeMode, type Upscaler } from './resize.ts';

/** What an image of img2img starts from. */
export interface Img2imgRequest {
  image: Pixels;
  /** Of what is generated. */
  size: Size;
  resizeMode: ResizeMode;
  /** `img2img_background_color`: what is under transparent parts. */
  background: readonly [number, number, number];
  inpaint: Inpaint | null;
  /** `upscaler_for_img2img`: what makes too small images larger, instead of Lanczos. */
  upscaler?: Upscaler;
}

/** How a part of an image is generated again. */
export interface Inpaint extends InpaintMaskRequest {
  /** The mask for the fill and the latents, if it differs from the mask: `latent_mask`, of the generated size. */
  latentMask?: Pixels;
  /** `inpainting_fill`: what the masked part starts from. */
  maskedContent: MaskedContent;
}

/** What the masked part of an image starts from; A1111's numbers 0 to 3. */
export type MaskedContent = 'fill' | 'original' | 'latent noise' | 'latent nothing';

/** What of an init image goes into the networks, and what is kept of it for the result. */
export interface PreparedImg2img {
  /** RGB for the VAE. As large as what is generated, unless the latents are stretched (resize mode 3). Also the target of colour correction. */
  image: Pixels;
  mask: PreparedMask | null;
}

/** The mask's part of {@link PreparedImg2img}. */
export interface PreparedMask {
  /** Grey, for inpainting models. */
  image: Pixels;
  /** Grey, for the latents. */
  latent: Pixels;
  /** Grey: `mask_for_overlay`. */
  forOverlay: Pixels;
  /** RGBA: the init image with holes where it is generated again. */
  overlay: Pixels;
  /** Where in the overlay the generated image belongs; null for all of it. */
  pasteTo: Region | null;
}

/**
 * Prepares an init image and its mask: resizing, the masked region, and the blurred filling that all masked contents but
 * `original` begin with. Source: A1111 modules/processing.py, `StableDiffusionProcessingImg2Img.init`.
 */
export async function prepareImg2img(request: Img2imgRequest): Promise<PreparedImg2img> {
  const { size, resizeMode, inpaint, upscaler } = request;
  const resize = (mode: 0 | 1 | 2, image: Pixels) =>
    upscaler ? resizeImageWith(upscaler, mode, image, size) : resizeImage(mode, image, size);
  const flat = flatten(request.image, request.background);
  const mask = inpaint && prepareInpaintMask(inpaint, resizeMode, size);
  const whole = mask?.region || resizeMode === 3 ? flat : await resize(resizeMode, flat);
  if (!inpaint || !mask) return { image: whole, mask: null };
  const forOverlay = sameSize(mask.overlay, whole)
    ? mask.overlay
    : toGrey(resizeImage(boundedMode(resizeMode), mask.overlay, whole));
  const latent = inpaint.latentMask ? toGrey(inpaint.latentMask) : mask.image;
  const image = mask.region ? await resize(2, crop(whole, mask.region)) : whole;
  return {
    image: inpaint.maskedContent === 'original' ? image : fillMasked(image, latent),
    mask: {
      image: mask.image,
      latent,
      forOverlay,
      overlay: cutOut(whole, forOverlay),
      pasteTo: mask.region,
    },
  };
}

function sameSize(a: Size, b: Size): boolean {
  return a.width === b.width && a.height === b.height;
}
