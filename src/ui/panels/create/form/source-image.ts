import { AppError } from '#protocol/error.ts';
import type { StoredImage, UpscaleSource } from '#protocol/job.ts';

/** An image that something is made from. */
export interface SourceImage {
  id: string;
  /** A PNG, JPEG or WebP file. */
  blob: Blob;
  width: number;
  height: number;
  /** A file's name, or a generated image's prompt. */
  name: string;
  /** What the gallery knows of it. */
  known?: NonNullable<UpscaleSource['known']>;
}

/** Files that jobs take unchanged. */
const TAKEN = ['image/png', 'image/jpeg', 'image/webp'];

/**
 * A file the reader brought, at the size the browser shows it. What jobs cannot read (GIF, AVIF, BMP …) becomes a PNG file.
 * @throws AppError `invalid_request` for files that the browser cannot decode
 */
export async function readSourceImage(file: Blob, name: string): Promise<SourceImage> {
  const bitmap = await decode(file, name);
  const { width, height } = bitmap;
  const blob = TAKEN.includes(file.type) ? file : await toPng(bitmap);
  bitmap.close();
  return { id: crypto.randomUUID(), blob, width, height, name };
}

async function decode(file: Blob, name: string): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(file);
  } catch {
    throw new AppError(
      'invalid_request',
      `${name} could not be read as an image. Use a PNG, JPEG or WebP file.`,
    );
  }
}

function toPng(bitmap: ImageBitmap): Promise<Blob> {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext('2d')?.drawImage(bitmap, 0, 0);
  return canvas.convertToBlob();
}

/** An image of the gallery. */
export function sourceOf({ id, blob, width, height, prompt, seed, infotext }: StoredImage): SourceImage {
  return { id, blob, width, height, name: prompt, known: { prompt, seed: BigInt(seed), infotext } };
}
