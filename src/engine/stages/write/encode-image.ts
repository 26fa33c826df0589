import { writeExif } from '#codecs/exif.ts';
import { encodePng } from '#codecs/png.ts';
import type { OutputSpec } from '#protocol/job.ts';
import { AppError } from '#protocol/error.ts';
import type { Pixels } from '#engine/stages/pixels/resize.ts';

/** Opaque pixels need no fourth channel. */
function toRgb({ width, height, data }: Pixels): Uint8Array {
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += 4) {
    rgb[to++] = data[from] ?? 0;
    rgb[to++] = data[from + 1] ?? 0;
    rgb[to++] = data[from + 2] ?? 0;
  }
  return rgb;
}

/** A PNG file of pixels with its text chunks. */
export function toPng(pixels: Pixels, texts: Readonly<Record<string, string>> = {}): Blob {
  const { width, height } = pixels;
  return new Blob([encodePng({ width, height, channels: 3, data: toRgb(pixels) }, texts)], {
    type: 'image/png',
  });
}

/**
 * A file of the format asked for, its texts in PNG chunks or EXIF tags.
 * @throws AppError `unsupported_feature` where this browser cannot write the format
 */
export async function encodeImage(
  pixels: Pixels,
  output: Pick<OutputSpec, 'format' | 'quality'>,
  texts: Readonly<Record<string, string>>,
): Promise<Blob> {
  if (output.format === 'png') return toPng(pixels, texts);
  const { width, height, data } = pixels;
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext('2d')?.putImageData(new ImageData(data, width, height), 0, 0);
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
