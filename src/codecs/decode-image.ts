import { decodePng } from './png.ts';
import { isPng, readPngHeader } from './png-chunks.ts';

/** Pixels in rows from the top, RGBA with straight alpha, 0 … 255. */
export interface DecodedImage {
  width: number;
  height: number;
  data: Uint8ClampedArray<ArrayBuffer>;
}

/** Of an image that is read: 268 MB of RGBA. */
export const MOST_PIXELS = 8192 * 8192;

/**
 * An image file's pixels. PNG is read here and alike everywhere, what else a browser knows by the browser. Colour profiles and
 * gamma are ignored: reference programs use a file's numbers unchanged.
 * @throws TypeError if it is not an image, or not PNG outside a browser; RangeError for a PNG file that is damaged, and
 *   for more than 64 megapixels
 */
export async function decodeImage(file: Blob): Promise<DecodedImage> {
  if (file.size === 0) throw new TypeError('The file is empty.');
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (isPng(bytes)) {
    checkSize(readPngHeader(bytes));
    return toRgba(decodePng(bytes));
  }
  if (typeof createImageBitmap !== 'function') throw new TypeError('Only PNG files can be read here.');
  return decodeInBrowser(file);
}

function checkSize({ width, height }: { width: number; height: number }): void {
  if (width * height <= MOST_PIXELS) return;
  throw new RangeError(
    `It has ${String(width)} × ${String(height)} pixels; the limit is ${String(MOST_PIXELS / 2 ** 20)} megapixels.`,
  );
}

function toRgba({ width, height, channels, data }: ReturnType<typeof decodePng>): DecodedImage {
  if (channels === 4) return { width, height, data: new Uint8ClampedArray(data) };
  const rgba = new Uint8ClampedArray(width * height * 4);
  for (let pixel = 0; pixel < width * height; pixel++) {
    rgba[pixel * 4] = data[pixel * 3] ?? 0;
    rgba[pixel * 4 + 1] = data[pixel * 3 + 1] ?? 0;
    rgba[pixel * 4 + 2] = data[pixel * 3 + 2] ?? 0;
    rgba[pixel * 4 + 3] = 255;
  }
  return { width, height, data: rgba };
}

async function decodeInBrowser(file: Blob): Promise<DecodedImage> {
  const bitmap = await openBitmap(file);
  try {
    const { width, height } = bitmap;
    checkSize(bitmap);
    const context = new OffscreenCanvas(width, height).getContext('2d');
    if (!context) throw new RangeError('There is not enough memory for its pixels.');
    context.drawImage(bitmap, 0, 0);
    return { width, height, data: new Uint8ClampedArray(context.getImageData(0, 0, width, height).data) };
  } finally {
    bitmap.close();
  }
}

async function openBitmap(file: Blob): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(file, { colorSpaceConversion: 'none' });
  } catch (thrown) {
    throw new TypeError('It is truncated, damaged, or in a format this browser does not support.', {
      cause: thrown,
    });
  }
}
