import { createPlanes, type Planes } from '#imaging/planes.ts';
import type { Pixels } from '#imaging/pixels.ts';
import { resize } from '#imaging/pillow/resize.ts';
import { roundHalfToEven } from '#imaging/round.ts';
import { interpolate } from '#imaging/torch/interpolate.ts';
import type { Size } from '#protocol/job.ts';
import type { MaskedContent } from './img2img.ts';

const { fround } = Math;

/**
 * The mask of latents: for each cell 1 where it is generated again … 0 where it stays, by a cubic resize of a grey mask;
 * with `rounded` only 0 and 1. Source: A1111 modules/processing.py, `latmask`.
 */
export function latentMask(mask: Pixels, cells: Size, rounded: boolean): Planes {
  const { width, height, data } = resize(mask, cells, 'bicubic');
  const values = Float32Array.from(data, (sample) =>
    rounded ? roundHalfToEven(sample / 255) : sample / 255,
  );
  return { channels: 1, height, width, data: values };
}

/**
 * What latents begin as under a mask: the image's, with noise or nothing in the masked part if requested.
 * Source: A1111 modules/processing.py, `inpainting_fill` 2 and 3.
 * @param noise the first draw of the seeds of the first batch, as large as `latents`
 */
export function maskedLatents(
  latents: Float32Array,
  mask: Planes,
  content: MaskedContent,
  noise: Float32Array,
): Float32Array {
  if (content === 'latent nothing') return blendLatents(latents, new Float32Array(latents.length), mask);
  return content === 'latent noise' ? blendLatents(latents, noise, mask) : latents;
}

/** `generated` where the mask is 1, `kept` where it is 0. The mask holds for every channel and image. */
export function blendLatents(kept: Float32Array, generated: Float32Array, mask: Planes): Float32Array {
  const area = mask.data.length;
  return kept.map((value, i) => {
    const share = mask.data[i % area] ?? 0;
    return (generated[i] ?? 0) * share + value * fround(1 - share);
  });
}

/** What an inpainting model gets besides the latents. */
export interface InpaintConditioning {
  /** −1…1 in RGB: the image with the masked part more or less hidden. To be encoded. */
  visible: Planes;
  /** One cell each: 1 where the image is generated. Goes before the encoded image. */
  mask: Planes;
}

/**
 * What inpainting models get of an image. Without a mask all of it is generated.
 * Source: A1111 modules/processing.py, `inpainting_image_conditioning`.
 * @param image −1…1
 * @param weight `inpainting_mask_weight`: how much the masked part is hidden, 1 by default
 */
export function inpaintConditioning(
  image: Planes,
  mask: Pixels | null,
  { cells, rounded, weight }: { cells: Size; rounded: boolean; weight: number },
): InpaintConditioning {
  const { width, height } = image;
  const area = width * height;
  const grey = createPlanes({ channels: 1, height, width }, 1);
  mask?.data.forEach((sample, i) => {
    grey.data[i] = rounded ? roundHalfToEven(sample / 255) : sample / 255;
  });
  const visible = image.data.map((value, i) => {
    const hidden = value * fround(1 - (grey.data[i % area] ?? 0));
    return value + weight * (hidden - value);
  });
  return {
    visible: { ...image, data: visible },
    mask: interpolate(grey, cells, { mode: 'nearest', antialias: false }),
  };
}
