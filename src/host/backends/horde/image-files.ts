import { blobToBase64 } from '#codecs/base64.ts';
import { decodeImage } from '#codecs/decode-image.ts';
import { writeExif } from '#codecs/exif.ts';
import { readImageFacts } from '#codecs/image-size.ts';
import { encodePng } from '#codecs/png.ts';
import { writePngText } from '#codecs/png-text.ts';
import { AppError } from '#protocol/error.ts';
import type { OutputSpec, Size } from '#protocol/job.ts';
import type { HordeSource } from './plan.ts';

/** The rectangle of a canvas that an image is drawn into. */
interface Place extends Size {
  x: number;
  y: number;
}

/**
 * An image as the Horde takes it: base64 of a file of the request's size. A file that has it already is sent unchanged; the Horde
 * reads PNG, JPEG and WebP.
 * @throws AppError `invalid_request` for a file that is no image
 */
export async function toHordeSource({ file, fit, invert = false }: HordeSource, size: Size): Promise<string> {
  const facts = await readFacts(file);
  if (facts.width === size.width && facts.height === size.height && !invert) return blobToBase64(file);
  const canvas = new OffscreenCanvas(size.width, size.height);
  const context = contextOf(canvas);
  // What is transparent counts as white, as in this tab's engine.
  context.fillStyle = '#fff';
  context.fillRect(0, 0, size.width, size.height);
  const bitmap = await openBitmap(file);
  try {
    context.imageSmoothingQuality = 'high';
    // A1111's fill stretches the image over the borders first.
    const places =
      fit === 'fill'
        ? [placeOf('stretch', facts, size), placeOf(fit, facts, size)]
        : [placeOf(fit, facts, size)];
    for (const { x, y, width, height } of places) context.drawImage(bitmap, x, y, width, height);
  } finally {
    bitmap.close();
  }
  if (invert) {
    context.globalCompositeOperation = 'difference';
    context.fillStyle = '#fff';
    context.fillRect(0, 0, size.width, size.height);
  }
  return blobToBase64(await canvas.convertToBlob({ type: 'image/png' }));
}

/** Where an image lies in one of another aspect ratio: stretched over it, covering it, or within it. */
function placeOf(fit: HordeSource['fit'], image: Size, { width, height }: Size): Place {
  if (fit === 'stretch' || fit === 'latent') return { x: 0, y: 0, width, height };
  const ratios = [width / image.width, height / image.height] as const;
  const scale = fit === 'crop' || fit === 'cover' ? Math.max(...ratios) : Math.min(...ratios);
  const [w, h] = [Math.round(image.width * scale), Math.round(image.height * scale)];
  return { x: Math.round((width - w) / 2), y: Math.round((height - h) / 2), width: w, height: h };
}

/** An image of the Horde as a file of the requested format, with its texts. */
export interface WrittenImage extends Size {
  file: Blob;
}

/**
 * Brings an image the Horde has made into the format a job asks for. Its pixels are kept where the format is the same.
 * @throws AppError `remote_failed` for a file that is no image, `unsupported_feature` where this browser cannot write the format
 */
export async function writeHordeImage(
  image: Blob,
  { format, quality }: Pick<OutputSpec, 'format' | 'quality'>,
  texts: Readonly<Record<string, string>>,
): Promise<WrittenImage> {
  const { type, width, height } = await readFacts(image).catch((cause: unknown) => {
    throw new AppError('remote_failed', 'The AI Horde sent a file that is no image. Generate it again.', {
      cause,
    });
  });
  const wanted = `image/${format}`;
  const bytes =
    type === wanted ? new Uint8Array(await image.arrayBuffer()) : await convert(image, wanted, quality);
  return { width, height, file: new Blob([withTexts(bytes, wanted, texts)], { type: wanted }) };
}

async function convert(image: Blob, type: string, quality: number): Promise<Uint8Array<ArrayBuffer>> {
  const { width, height, data } = await decodeImage(image);
  if (type === 'image/png') return encodePng({ width, height, channels: 4, data: new Uint8Array(data) });
  const canvas = new OffscreenCanvas(width, height);
  contextOf(canvas).putImageData(new ImageData(data, width, height), 0, 0);
  const blob = await canvas.convertToBlob({ type, quality });
  // Browsers fall back to PNG for formats they cannot write.
  if (blob.type !== type) {
    throw new AppError(
      'unsupported_feature',
      `This browser cannot write ${type.slice(6).toUpperCase()} files.`,
    );
  }
  return new Uint8Array(await blob.arrayBuffer());
}

function withTexts(
  file: Uint8Array<ArrayBuffer>,
  type: string,
  texts: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const { parameters, fooocus_scheme: makerNote } = texts;
  if (type === 'image/png') return writePngText(file, texts);
  if (parameters === undefined) return file;
  return writeExif(file, { userComment: parameters, ...(makerNote !== undefined && { makerNote }) });
}

async function readFacts(file: Blob) {
  try {
    return readImageFacts(new Uint8Array(await file.arrayBuffer()));
  } catch (cause) {
    throw new AppError('invalid_request', 'The image is not a PNG, JPEG or WebP file.', { cause });
  }
}

async function openBitmap(file: Blob): Promise<ImageBitmap> {
  return createImageBitmap(file, { colorSpaceConversion: 'none' }).catch((cause: unknown) => {
    throw new AppError('invalid_request', 'The image is truncated or damaged.', { cause });
  });
}

function contextOf(canvas: OffscreenCanvas): OffscreenCanvasRenderingContext2D {
  const context = canvas.getContext('2d');
  if (context) return context;
  throw new AppError('out_of_memory', 'There is not enough memory for an image of this size.');
}
