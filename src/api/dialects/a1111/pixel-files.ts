import { convertImage } from '#api/files.ts';
import { decodeImage } from '#codecs/decode-image.ts';
import { writeExif } from '#codecs/exif.ts';
import { encodePng } from '#codecs/png.ts';
import { flatten } from '#imaging/a1111/resize.ts';
import { toRgb } from '#imaging/pillow/convert.ts';
import type { Pixels } from '#imaging/pixels.ts';
import { planFile } from './map.ts';
import type { Options } from './options.ts';

/** RGB of an image file, on white where it is transparent. @throws TypeError, RangeError as {@link decodeImage} */
export async function readPixels(file: Blob): Promise<Pixels> {
  return flatten({ ...(await decodeImage(file)), channels: 4 }, [255, 255, 255]);
}

/** A PNG file of an image, in RGB. */
export function pngOf(pixels: Pixels, infotext?: string): Blob {
  const texts = infotext === undefined ? {} : { parameters: infotext };
  return new Blob([encodePng({ ...toRgb(pixels), channels: 3 }, texts)], { type: 'image/png' });
}

/**
 * A file of the format that the options ask for, with its infotext unless they switch that off.
 * @throws AppError `unsupported_feature` for formats other than PNG where there is no canvas
 */
export async function encodePixels(pixels: Pixels, infotext: string, options: Options): Promise<Blob> {
  const { format, quality } = planFile(options);
  const text = options.enable_pnginfo ? infotext : undefined;
  if (format === 'png') return pngOf(pixels, text);
  const type = `image/${format}`;
  const file = await convertImage(pngOf(pixels), type, quality);
  if (text === undefined) return file;
  return new Blob([writeExif(new Uint8Array(await file.arrayBuffer()), { userComment: text })], { type });
}
