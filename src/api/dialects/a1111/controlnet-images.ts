import { fromBase64OrDataUri } from '#codecs/base64.ts';
import { decodeImage } from '#codecs/decode-image.ts';
import { readImageFacts } from '#codecs/image-size.ts';
import { isRecord } from '#codecs/json.ts';
import { roundHalfToEven } from '#imaging/round.ts';
import type { ControlSpec, Size } from '#protocol/job.ts';
import { pythonException } from './errors.ts';

/** What a unit says of its image: base64, an object or a pair of image and mask, and a mask apart. */
interface SentImages {
  image?: unknown;
  mask?: unknown;
}

/** What a ControlNet looks at, and how it is brought to size. */
export interface SourceImage {
  image: Blob;
  fit: ControlSpec['fit'];
}

/** Masks that are darker, or lighter, all over count for nothing. */
const [DARK, LIGHT] = [5, 250];

/**
 * The image of a unit: its mask where there is something on it, which then is a scribble (ControlNet extension
 * scripts/controlnet.py, `choose_input_image`).
 * @returns undefined where the unit has none
 * @throws AppError as the extension for files that are no images, and for a mask of another size
 */
export async function unitImage(sent: SentImages): Promise<Blob | undefined> {
  const texts = textsOf(sent);
  if (texts.image === undefined) return undefined;
  const image = read(texts.image);
  if (texts.mask === undefined) return image;
  const mask = read(texts.mask);
  await requireSameSize(image, mask);
  return (await hasScribble(mask)) ? mask : image;
}

/**
 * The image of a unit that inpaints, and its mask, which is not a scribble there (`combine_image_and_mask`).
 * @throws AppError as {@link unitImage}
 */
export async function maskedUnitImage(sent: SentImages): Promise<{ image: Blob; mask?: Blob } | undefined> {
  const texts = textsOf(sent);
  if (texts.image === undefined) return undefined;
  const image = read(texts.image);
  if (texts.mask === undefined) return { image };
  const mask = read(texts.mask);
  await requireSameSize(image, mask);
  return { image, mask };
}

/** A file in base64 that is an image. @throws AppError as the extension for anything else */
export async function readImageFile(text: unknown): Promise<Blob> {
  if (!isText(text)) throw invalidImage();
  const file = read(text);
  await decode(file);
  return file;
}

/**
 * The resolution at which a preprocessor sees the pixels that are generated (ControlNet extension
 * internal_controlnet/external_code.py, `pixel_perfect_resolution`).
 */
export async function perfectResolution({ image, fit }: SourceImage, target: Size): Promise<number> {
  const { width, height } = await sizeOf(image);
  const cells = (side: number) => Math.floor(side / 8) * 8;
  const factors = [cells(target.height) / height, cells(target.width) / width];
  const factor = fit === 'contain' ? Math.min(...factors) : Math.max(...factors);
  return roundHalfToEven(factor * Math.min(width, height));
}

/** A file in base64. @throws AppError as the original for anything else */
export function read(text: string): Blob {
  try {
    return new Blob([fromBase64OrDataUri(text)]);
  } catch {
    throw invalidImage();
  }
}

/** What the original says of a file that is no image. */
function invalidImage() {
  return pythonException('HTTPException', 'Invalid encoded image');
}

async function requireSameSize(image: Blob, mask: Blob): Promise<void> {
  const [size, maskSize] = await Promise.all([sizeOf(image), sizeOf(mask)]);
  if (size.width === maskSize.width && size.height === maskSize.height) return;
  throw pythonException(
    'ValueError',
    `image shape (${shapeOf(size)}) not aligned with mask shape (${shapeOf(maskSize)})`,
  );
}

function textsOf({ image, mask }: SentImages): { image?: string; mask?: string } {
  if (isRecord(image)) return textsOf({ image: image['image'], mask: image['mask'] ?? mask });
  if (Array.isArray(image)) {
    const [first, second] = image as readonly unknown[];
    return textsOf({ image: first, mask: second ?? mask });
  }
  return { ...(isText(image) && { image }), ...(isText(mask) && { mask }) };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

async function sizeOf(file: Blob): Promise<Size> {
  try {
    return readImageFacts(new Uint8Array(await file.arrayBuffer()));
  } catch {
    throw invalidImage();
  }
}

/** As numpy prints it: rows first. */
function shapeOf({ width, height }: Size): string {
  return `(${height}, ${width})`;
}

async function hasScribble(mask: Blob): Promise<boolean> {
  const { data } = await decode(mask);
  const reds = data.filter((_, index) => index % 4 === 0);
  return !reds.every((value) => value <= DARK) && !reds.every((value) => value >= LIGHT);
}

/** The pixels of a file. @throws AppError as the original where it cannot be read */
export async function decode(file: Blob): Promise<Awaited<ReturnType<typeof decodeImage>>> {
  try {
    return await decodeImage(file);
  } catch {
    throw invalidImage();
  }
}
