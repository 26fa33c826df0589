import { decodeImage, type DecodedImage } from '#codecs/decode-image.ts';
import { flatten } from '#imaging/a1111/resize.ts';
import { readColour } from './colours.ts';
import { pngOf } from './pixel-files.ts';

/** What is under transparent parts anyway. */
const WHITE = '#ffffff';

/** Every fourth byte of the pixels is alpha. */
const OPAQUE = 255;

/**
 * An init image with a colour under its transparent parts (the option `img2img_background_color`).
 * @param colour `#rrggbb`; others are taken for white
 * @returns the file itself where nothing shows through, or where it cannot be read here
 */
export async function onBackground(file: Blob, colour: string): Promise<Blob> {
  const below = readColour(colour);
  if (colour.toLowerCase() === WHITE || !below) return file;
  const image = await decode(file);
  if (!image || image.data.every((value, index) => index % 4 !== 3 || value === OPAQUE)) return file;
  return pngOf(flatten({ ...image, channels: 4 }, below));
}

/** The engine reports files that cannot be read. Without a canvas only PNG files are read here. */
async function decode(file: Blob): Promise<DecodedImage | null> {
  try {
    return await decodeImage(file);
  } catch {
    return null;
  }
}
