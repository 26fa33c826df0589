import { decodeImage } from '#codecs/decode-image.ts';
import { AppError } from '#protocol/error.ts';
import type { Pixels } from './resize.ts';

/**
 * An image file's pixels, opaque.
 * @param background 0 … 255: the grey under what is transparent
 * @throws AppError `invalid_request` for what is no image, is damaged or has too many pixels
 */
export async function readImage(file: Blob, background: number): Promise<Pixels> {
  try {
    return flatten(await decodeImage(file), background);
  } catch (thrown) {
    const reason = thrown instanceof TypeError || thrown instanceof RangeError ? ` ${thrown.message}` : '';
    throw new AppError('invalid_request', `The image cannot be read.${reason}`, { cause: thrown });
  }
}

/** The image over a background, in place. */
function flatten(image: Pixels, background: number): Pixels {
  const { data } = image;
  for (let i = 0; i < data.length; i += 4) {
    const alpha = (data[i + 3] ?? 0) / 255;
    if (alpha === 1) continue;
    for (let c = i; c < i + 3; c++) data[c] = alpha * (data[c] ?? 0) + (1 - alpha) * background;
    data[i + 3] = 255;
  }
  return image;
}
