import { channelOf, createPixels, type Pixels, type Region } from '#imaging/pixels.ts';
import { toRgb } from '#imaging/pillow/convert.ts';
import { paste } from '#imaging/pillow/paste.ts';
import { resize } from '#imaging/pillow/resize.ts';
import type { Size } from '#protocol/job.ts';

/** A1111's resize modes by number: stretch, crop to the size, fit inside it and fill the rest, stretch the latents. */
export type ResizeMode = 0 | 1 | 2 | 3;

/** Makes an image larger by a factor, to about that size. */
export type Upscaler = (image: Pixels, scale: number) => Pixels | Promise<Pixels>;

/**
 * Resizes an image by one of A1111's resize modes, by Lanczos. Modes 1 and 2 give RGB and drop alpha.
 * Source: A1111 modules/images.py, `resize_image`.
 */
export function resizeImage(mode: 0 | 1 | 2, image: Pixels, size: Size): Pixels {
  return place(mode, resize(image, innerSize(mode, image, size), 'lanczos'), image, size);
}

/**
 * {@link resizeImage} where an upscaler makes what is too small, and Lanczos the rest. Grey images, such as masks, never
 * go through an upscaler.
 */
export async function resizeImageWith(
  upscaler: Upscaler,
  mode: 0 | 1 | 2,
  image: Pixels,
  size: Size,
): Promise<Pixels> {
  const inner = innerSize(mode, image, size);
  const scale = Math.max(inner.width / image.width, inner.height / image.height);
  const upscaled = scale > 1 && image.channels !== 1 ? await upscaler(image, scale) : image;
  return place(mode, resize(upscaled, inner, 'lanczos'), image, size);
}

/** The size an image is resized to before it is placed. Sides are floored. */
function innerSize(mode: 0 | 1 | 2, image: Size, { width, height }: Size): Size {
  if (mode === 0) return { width, height };
  const [ratio, own] = [width / height, image.width / image.height];
  const byWidth = Math.floor((image.height * width) / image.width);
  const byHeight = Math.floor((image.width * height) / image.height);
  if (mode === 1) return { width: ratio > own ? width : byHeight, height: ratio <= own ? height : byWidth };
  return { width: ratio < own ? width : byHeight, height: ratio >= own ? height : byWidth };
}

function place(mode: 0 | 1 | 2, resized: Pixels, image: Size, size: Size): Pixels {
  if (mode === 0) return resized;
  const x = Math.floor(size.width / 2) - Math.floor(resized.width / 2);
  const y = Math.floor(size.height / 2) - Math.floor(resized.height / 2);
  const placed = paste(createPixels(size, 3), toRgb(resized), { x, y });
  return mode === 1 ? placed : fillStripes(placed, resized, image);
}

/**
 * Fills what an image that was fitted inside a size leaves open. Each stripe is a cubic resize of an edge without
 * extent: the edge and, against it, a little of the line beside it.
 */
function fillStripes(placed: Pixels, resized: Pixels, image: Size): Pixels {
  const { width, height } = placed;
  const [ratio, own] = [width / height, image.width / image.height];
  if (ratio === own) return placed;
  const upright = ratio < own;
  const extent = upright
    ? Math.floor(height / 2) - Math.floor(resized.height / 2)
    : Math.floor(width / 2) - Math.floor(resized.width / 2);
  if (extent <= 0) return placed;
  const stripe = upright ? { width, height: extent } : { width: extent, height };
  const edges: readonly [Region, Region] = upright
    ? [
        { x1: 0, y1: 0, x2: width, y2: 0 },
        { x1: 0, y1: resized.height, x2: width, y2: resized.height },
      ]
    : [
        { x1: 0, y1: 0, x2: 0, y2: height },
        { x1: resized.width, y1: 0, x2: resized.width, y2: height },
      ];
  const [first, second] = edges.map((edge) => toRgb(resize(resized, stripe, 'bicubic', edge)));
  if (!first || !second) return placed;
  const after = upright ? { x: 0, y: extent + resized.height } : { x: extent + resized.width, y: 0 };
  return paste(paste(placed, first, { x: 0, y: 0 }), second, after);
}

/** RGB of an image put on a colour. Source: A1111 modules/images.py, `flatten`. */
export function flatten(image: Pixels, colour: readonly [number, number, number]): Pixels {
  if (image.channels !== 4) return toRgb(image);
  const alpha = channelOf(image, 3);
  // What is opaque hides all that is below it.
  if (alpha.data.every((sample) => sample === 255)) return toRgb(image);
  const below = createPixels(image, 4, 255);
  for (let i = 0; i < alpha.data.length; i++) below.data.set(colour, i * 4);
  return toRgb(paste(below, image, { x: 0, y: 0 }, alpha));
}
