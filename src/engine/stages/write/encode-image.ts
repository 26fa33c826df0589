import { writeExif } from '#codecs/exif.ts';
import { encodePng } from '#codecs/png.ts';
import { toRgb, toRgba } from '#imaging/pillow/convert.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { OutputSpec } from '#protocol/job.ts';
import { AppError } from '#protocol/error.ts';

/** A PNG file of pixels with its text chunks. Grey becomes RGB. */
export function toPng(pixels: Pixels, texts: Readonly<Record<string, string>> = {}): Blob {
  const { width, height, channels } = pixels;
  const { data } = channels === 4 ? pixels : toRgb(pixels);
  return new Blob([encodePng({ width, height, channels: channels === 4 ? 4 : 3, data }, texts)], {
    type: 'image/png',
  });
}

/**
 * A file of the requested format, its texts in PNG chunks or EXIF tags.
 * @throws AppError `unsupported_feature` where this browser cannot write the format
 */
export async function encodeImage(
  pixels: Pixels,
  output: Pick<OutputSpec, 'format' | 'quality'>,
  texts: Readonly<Record<string, string>>,
): Promise<Blob> {
  if (output.format === 'png') return toPng(pixels, texts);
  const { width, height } = pixels;
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext('2d')?.putImageData(new ImageData(toRgba(pixels).data, width, height), 0, 0);
  const type = `image/${output.format}`;
  const blob = await canvas.convertToBlob({ type, quality: output.quality });
  // Browsers fall back to PNG for formats they cannot write.
  if (blob.type !== type) {
    throw new AppError(
      'unsupported_feature',
      `This browser cannot write ${output.format.toUpperCase()} files.`,
    );
  }
  const { parameters, fooocus_scheme: makerNote } = texts;
  if (parameters === undefined) return blob;
  const exif = { userComment: parameters, ...(makerNote !== undefined && { makerNote }) };
  return new Blob([writeExif(new Uint8Array(await blob.arrayBuffer()), exif)], { type });
}
