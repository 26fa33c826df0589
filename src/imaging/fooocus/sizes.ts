import { AppError } from '#protocol/error.ts';
import type { Size } from '#protocol/job.ts';
import type { Pixels } from '#imaging/pixels.ts';
import { resize } from '#imaging/pillow/resize.ts';
import { roundHalfToEven } from '#imaging/round.ts';

/** What sides are multiples of. */
const GRID = 64;
const MOST_ROUNDS = 256;

/**
 * The side of a square with as many pixels, rounded up to a multiple of 64: how Fooocus measures sizes.
 * Source: Fooocus modules/util.py, `get_shape_ceil`.
 */
export function shapeCeil({ width, height }: Size): number {
  return Math.ceil(Math.sqrt(height * width) / GRID) * GRID;
}

/**
 * The size, in multiples of 64, that an image is scaled to so that its shape ceil is `wanted`; the size itself where it
 * is already. The aspect can change on the way. Source: Fooocus modules/util.py, `set_image_shape_ceil`.
 * @throws AppError `invalid_request` where a side would vanish
 */
export function sizeOfShapeCeil({ width, height }: Size, wanted: number): Size {
  let size: Size = { width, height };
  for (let round = 0; round < MOST_ROUNDS && shapeCeil(size) !== wanted; round++) {
    const scale = wanted / shapeCeil(size);
    const scaled = (side: number) => roundHalfToEven((side * scale) / GRID) * GRID;
    size = { width: scaled(size.width), height: scaled(size.height) };
    if (size.width === 0 || size.height === 0) {
      throw new AppError(
        'invalid_request',
        `An image of ${width} × ${height} pixels is too narrow to be scaled. Use one with a less extreme aspect ratio.`,
      );
    }
  }
  return size;
}

/** An image stretched by Lanczos; fractions of a pixel are cut off. Source: Fooocus modules/util.py, `resample_image`. */
export function resampleImage(pixels: Pixels, { width, height }: Size): Pixels {
  return resize(pixels, { width: Math.trunc(width), height: Math.trunc(height) }, 'lanczos');
}
