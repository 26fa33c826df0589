import { createPixels, type Pixels } from '#imaging/pixels.ts';
import { premultiply, unpremultiply } from '#imaging/pillow/alpha.ts';
import { alphaComposite } from '#imaging/pillow/composite.ts';
import { toGrey, toRgb, toRgba } from '#imaging/pillow/convert.ts';
import { paste } from '#imaging/pillow/paste.ts';
import type { Planes } from '#imaging/planes.ts';
import { applyColorCorrection } from './color-correction.ts';
import type { PreparedMask } from './img2img.ts';
import { resizeImage, resizeImageWith, type Upscaler } from './resize.ts';

/** RGB of a decoded image in −1…1: clamped and truncated to 8 bits, as the webui does. */
export function decodedPixels({ width, height, data }: Planes): Pixels {
  const { fround } = Math;
  const pixels = createPixels({ width, height }, 3);
  const area = width * height;
  for (let i = 0; i < area; i++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = fround(fround((data[channel * area + i] ?? 0) + 1) / 2);
      pixels.data[i * 3 + channel] = Math.trunc(fround(255 * Math.min(Math.max(value, 0), 1)));
    }
  }
  return pixels;
}

/** Red, green and blue of RGB in −1…1, plane after plane: what a VAE encodes. */
export function signedPlanes({ width, height, channels, data }: Pixels): Planes {
  const { fround } = Math;
  const area = width * height;
  const planes = new Float32Array(3 * area);
  for (let i = 0; i < area; i++) {
    for (let channel = 0; channel < 3; channel++) {
      planes[channel * area + i] = fround(fround((data[i * channels + channel] ?? 0) / 255) * 2) - 1;
    }
  }
  return { channels: 3, height, width, data: planes };
}

/** How a generated image becomes a result. */
export interface ResultRequest {
  mask: PreparedMask | null;
  /** `overlay_inpaint`: put the init image over what was not generated. */
  putsOverlay: boolean;
  /** Target of `img2img_color_correction`, {@link PreparedImg2img.image}; null for none. */
  colourTarget: Pixels | null;
  upscaler?: Upscaler;
}

/** What is handed over beside an inpainted image: A1111's `return_mask` and `return_mask_composite`. */
export interface InpaintByProducts {
  /** RGB. */
  mask: Pixels;
  /** RGBA of the generated image, seen through the mask. */
  composite: Pixels;
}

/** A finished image in RGB; with a mask also what is beside it, which few ask for. */
export interface FinishedImage {
  image: Pixels;
  byProducts?: () => InpaintByProducts;
}

/**
 * Corrects a generated image's colours, puts it where the region was, and the init image over it.
 * Source: A1111 modules/processing.py, `process_images_inner`, `apply_overlay`, `uncrop`.
 */
export async function finishImg2img(generated: Pixels, request: ResultRequest): Promise<FinishedImage> {
  const { mask, putsOverlay, colourTarget, upscaler } = request;
  const corrected = colourTarget ? applyColorCorrection(generated, colourTarget) : generated;
  if (!mask) return { image: corrected };
  const placed = putsOverlay ? await pasteBack(corrected, mask, upscaler) : corrected;
  const image = putsOverlay ? toRgb(alphaComposite(toRgba(placed), mask.overlay)) : corrected;
  return {
    image,
    byProducts: () => ({
      mask: toRgb(mask.forOverlay),
      composite: seenThrough(placed, toGrey(resizeImage(2, mask.forOverlay, image))),
    }),
  };
}

/** The generated image in the middle of transparency where only a region was generated. */
async function pasteBack(
  image: Pixels,
  { pasteTo, overlay }: PreparedMask,
  upscaler: Upscaler | undefined,
): Promise<Pixels> {
  if (!pasteTo) return image;
  const size = { width: pasteTo.x2 - pasteTo.x1, height: pasteTo.y2 - pasteTo.y1 };
  const fitted = upscaler ? await resizeImageWith(upscaler, 1, image, size) : resizeImage(1, image, size);
  return paste(createPixels(overlay, 4), toRgba(fitted), { x: pasteTo.x1, y: pasteTo.y1 });
}

/** RGBA of an image with a mask multiplied into its alpha. */
export function seenThrough(image: Pixels, mask: Pixels): Pixels {
  return unpremultiply(paste(createPixels(image, 4), premultiply(toRgba(image)), { x: 0, y: 0 }, mask));
}
