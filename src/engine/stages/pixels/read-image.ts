import { decodeImage } from '#codecs/decode-image.ts';
import { flatten } from '#imaging/a1111/resize.ts';
import type { Pixels } from '#imaging/pixels.ts';
import { AppError } from '#protocol/error.ts';

/**
 * An image file's pixels as RGBA.
 * @throws AppError `invalid_request` for a file that is not an image, is damaged or has too many pixels
 */
export async function readPixels(file: Blob): Promise<Pixels> {
  try {
    return { ...(await decodeImage(file)), channels: 4 };
  } catch (thrown) {
    const reason = thrown instanceof TypeError || thrown instanceof RangeError ? ` ${thrown.message}` : '';
    throw new AppError('invalid_request', `The image cannot be read.${reason}`, { cause: thrown });
  }
}

/**
 * An image file's pixels as RGB.
 * @param background 0 … 255: the grey under what is transparent
 * @throws AppError see {@link readPixels}
 */
export async function readImage(file: Blob, background: number): Promise<Pixels> {
  return flatten(await readPixels(file), [background, background, background]);
}
