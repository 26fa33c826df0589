import { decodeImage, type DecodedImage } from '#codecs/decode-image.ts';
import { encodePng } from '#codecs/png.ts';
import { flatten } from '#imaging/a1111/resize.ts';

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
  const [, ...digits] = /^#([\da-f]{2})([\da-f]{2})([\da-f]{2})$/i.exec(colour) ?? [];
  if (colour.toLowerCase() === WHITE || digits.length === 0) return file;
  const image = await decode(file);
  if (!image || image.data.every((value, index) => index % 4 !== 3 || value === OPAQUE)) return file;
  const [red = 0, green = 0, blue = 0] = digits.map((digit) => Number.parseInt(digit, 16));
  const flat = flatten({ ...image, channels: 4 }, [red, green, blue]);
  return new Blob([encodePng({ ...flat, channels: 3 })], { type: 'image/png' });
}

/** The engine says what is wrong with a file that cannot be read, and where there is no canvas reads only PNG files. */
async function decode(file: Blob): Promise<DecodedImage | null> {
  try {
    return await decodeImage(file);
  } catch {
    return null;
  }
}
