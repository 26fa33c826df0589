import { mapSamples, type Pixels, type Region } from '#imaging/pixels.ts';
import { gaussianBlur } from '#imaging/opencv/gaussian-blur.ts';
import { invert, toGrey } from '#imaging/pillow/convert.ts';
import { crop } from '#imaging/pillow/paste.ts';
import type { Size } from '#protocol/job.ts';
import { expandCropRegion, getCropRegion } from './crop-region.ts';
import { createBinaryMask } from './mask.ts';
import { resizeImage, type ResizeMode } from './resize.ts';

/** How a mask is read. */
export interface InpaintMaskRequest {
  /** White is generated again. Of images with alpha the alpha counts. */
  mask: Pixels;
  /** Standard deviations of the blur across and down, in pixels. */
  blur: { x: number; y: number };
  /** `inpainting_mask_invert`. */
  inverted: boolean;
  /** `mask_round`: alpha and latent cells become black or white. */
  rounded: boolean;
  /** `inpaint_full_res`: only the masked region is generated, at the full size; null for the whole image. */
  onlyMasked: { padding: number } | null;
}

/** A mask, ready for a run. */
export interface InpaintMask {
  /** Grey, as large as what is generated: the masked region's, or the whole image's. */
  image: Pixels;
  /** Grey: what of the generated image is seen in the result, in the init image's size before resizing if `region` is set. */
  overlay: Pixels;
  /** The region of the init image that is generated; null for the whole image. */
  region: Region | null;
}

/**
 * Blurs a mask and finds the region it asks for. The region is that of the blurred mask.
 * Source: A1111 modules/processing.py, `StableDiffusionProcessingImg2Img.init`.
 * @param size of what is generated
 * @returns null for a mask without any white where only the masked region is wanted: the webui generates the whole
 *   image then, as without a mask
 */
export function prepareInpaintMask(
  request: InpaintMaskRequest,
  mode: ResizeMode,
  size: Size,
): InpaintMask | null {
  const { blur, inverted, rounded, onlyMasked } = request;
  const binary = createBinaryMask(request.mask, rounded);
  const blurred = blurMask(inverted ? invert(binary) : binary, blur);
  if (!onlyMasked) {
    const image = toGrey(resizeImage(boundedMode(mode), blurred, size));
    return { image, overlay: mapSamples(image, (sample) => Math.min(sample * 2, 255)), region: null };
  }
  const found = getCropRegion(blurred, onlyMasked.padding);
  if (!found) return null;
  const region = expandCropRegion(found, size, blurred);
  return { image: toGrey(resizeImage(2, crop(blurred, region), size)), overlay: blurred, region };
}

/** The webui resizes masks by mode 2 where the latents are stretched. */
export function boundedMode(mode: ResizeMode): 0 | 1 | 2 {
  return mode === 3 ? 2 : mode;
}

/** Blurs across, then down, in 8 bits. A deviation of 0 leaves its direction unchanged. */
function blurMask(mask: Pixels, { x, y }: { x: number; y: number }): Pixels {
  const across = x > 0 ? gaussianBlur(mask, { width: kernelSize(x), height: 1, sigmaX: x, sigmaY: x }) : mask;
  return y > 0 ? gaussianBlur(across, { width: 1, height: kernelSize(y), sigmaX: y, sigmaY: y }) : across;
}

function kernelSize(deviation: number): number {
  return 2 * Math.trunc(2.5 * deviation + 0.5) + 1;
}
