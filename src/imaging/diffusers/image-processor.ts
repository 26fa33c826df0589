import type { Size } from '#protocol/job.ts';
import { resizeImage } from '#imaging/a1111/resize.ts';
import { toGrey } from '#imaging/pillow/convert.ts';
import { crop } from '#imaging/pillow/paste.ts';
import type { Pixels, Region } from '#imaging/pixels.ts';
import { createPlanes, type Planes } from '#imaging/planes.ts';

/** Pixels of a latent pixel's side. */
const FACTOR = 8;

/** How an image is brought to its size: stretched, fitted inside with the rest filled, or cropped to it. */
export type ResizeMode = 'default' | 'fill' | 'crop';

const MODES = { default: 0, crop: 1, fill: 2 } as const;

/** What becomes of an image before it is encoded. */
export interface PreprocessOptions {
  /** Both sides are rounded down to multiples of 8. The image's own size if not given. */
  size?: Size;
  resizeMode?: ResizeMode;
  /** Cropped first; areas outside the image are black. */
  region?: Region;
}

/**
 * An image as an encoder takes it: planes from −1 to 1. Source: diffusers src/diffusers/image_processor.py,
 * `VaeImageProcessor.preprocess`.
 */
export function preprocessImage(image: Pixels, options: PreprocessOptions = {}): Planes {
  const { width, height, channels, data } = resizeForModel(image, options);
  const planes = createPlanes({ channels, height, width });
  const area = width * height;
  for (const [i, sample] of data.entries()) {
    const value = Math.fround(2 * Math.fround(sample / 255) - 1);
    planes.data[(i % channels) * area + Math.floor(i / channels)] = value;
  }
  return planes;
}

/** A mask as the inpaint pipelines take it: one plane of 0 and 1, 1 from one half on. Source: the same. */
export function preprocessMask(mask: Pixels, options: PreprocessOptions = {}): Planes {
  const { width, height, data } = toGrey(resizeForModel(mask, options));
  return {
    channels: 1,
    height,
    width,
    data: Float32Array.from(data, (sample) => (sample / 255 < 0.5 ? 0 : 1)),
  };
}

function resizeForModel(image: Pixels, { size, resizeMode = 'default', region }: PreprocessOptions): Pixels {
  const cropped = region ? crop(image, region) : image;
  const { width, height } = size ?? cropped;
  const multiple = (side: number) => side - (side % FACTOR);
  return resizeImage(MODES[resizeMode], cropped, { width: multiple(width), height: multiple(height) });
}
