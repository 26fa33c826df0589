import { decodePng } from '#codecs/png.ts';
import { AppError } from '#protocol/error.ts';
import type { Pixels } from './resize.ts';

const PNG_SIGNATURE = [0x89, 0x50, 0x4e, 0x47];

/**
 * An image file's pixels, opaque. PNG is read alike everywhere, what else a browser knows by the browser.
 * @param background 0 … 255: the grey under what is transparent
 * @throws AppError `invalid_request` for what is no image, `unsupported_feature` for other formats than PNG where
 *   there is no browser
 */
export async function readImage(file: Blob, background: number): Promise<Pixels> {
  const start = new Uint8Array(await file.slice(0, PNG_SIGNATURE.length).arrayBuffer());
  const isPng = PNG_SIGNATURE.every((byte, i) => start[i] === byte);
  if (!isPng && typeof createImageBitmap !== 'function') {
    throw new AppError('unsupported_feature', 'Only PNG files can be read here.');
  }
  try {
    return isPng ? await readPng(file, background) : await readInBrowser(file, background);
  } catch (thrown) {
    throw new AppError('invalid_request', 'The image cannot be read: it is broken, or no image.', {
      cause: thrown,
    });
  }
}

async function readPng(file: Blob, background: number): Promise<Pixels> {
  const { width, height, channels, data } = decodePng(new Uint8Array(await file.arrayBuffer()));
  const opaque = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const alpha = channels === 4 ? (data[pixel * 4 + 3] ?? 0) / 255 : 1;
    for (let channel = 0; channel < 3; channel++) {
      const value = data[pixel * channels + channel] ?? 0;
      opaque[pixel * 4 + channel] = alpha * value + (1 - alpha) * background;
    }
  }
  return { width, height, data: opaque };
}

async function readInBrowser(file: Blob, background: number): Promise<Pixels> {
  // Reference programs take a file's numbers as they are, whatever its colour profile.
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: 'none' });
  try {
    const { width, height } = bitmap;
    const context = new OffscreenCanvas(width, height).getContext('2d');
    if (!context) throw new AppError('internal', 'There is no canvas to read the image with.');
    context.fillStyle = `rgb(${background} ${background} ${background})`;
    context.fillRect(0, 0, width, height);
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    return { width, height, data: new Uint8ClampedArray(data) };
  } finally {
    bitmap.close();
  }
}
