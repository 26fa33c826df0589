import { readPixels } from '#engine/stages/pixels/read-image.ts';
import { createBinaryMask } from '#imaging/a1111/mask.ts';
import { flatten } from '#imaging/a1111/resize.ts';
import { erodeOrDilate } from '#imaging/fooocus/mask.ts';
import { invert, toGrey } from '#imaging/pillow/convert.ts';
import { paste } from '#imaging/pillow/paste.ts';
import { resize } from '#imaging/pillow/resize.ts';
import { createPixels, padWithEdge, type Pixels } from '#imaging/pixels.ts';
import { AppError } from '#protocol/error.ts';
import type { GenerateJob, ImageInit, MaskedInit, MaskSource, Sides, Size } from '#protocol/job.ts';

/** What is under transparent parts of init images: A1111's `img2img_background_color`. */
const WHITE = [255, 255, 255] as const;

/** Pixels on a side of a latent cell. */
const CELL = 8;

/** Pixels of an init image with what outpainting adds to it: 192 MB. */
const MOST_PIXELS = 8192 * 8192;

/** An init image as it was sent, with what outpainting adds to it. */
export interface InitSource {
  /** RGB. */
  image: Pixels;
  /** Grey, white where the image is generated again; null where all of it is. */
  mask: Pixels | null;
  /** The mask for the latents if it is a different one, of any size; A1111's rules only. */
  latentMask?: Pixels;
}

/**
 * Reads the files that a job's images start from, each once; null is noise.
 * @returns one source for each image of the job; the same one for images that share a file
 * @throws AppError `invalid_request` for files that are not images, numbers of images that do not fit the job, and masks
 *   that leave nothing to do
 */
export async function readInit({
  init,
  images,
  batchSize,
}: Pick<GenerateJob, 'init' | 'images' | 'batchSize'>): Promise<readonly InitSource[] | null> {
  if (init.from === 'noise') return null;
  const files = filesOf(init.images, images.length, Math.max(1, batchSize));
  const mask = init.from === 'masked' ? await readMask(init) : null;
  const latentMask = init.from === 'masked' ? await readLatentMask(init) : {};
  const read = new Map<Blob, InitSource>();
  for (const file of files) {
    if (read.has(file)) continue;
    const image = flatten(await readPixels(file), WHITE);
    checkLatentFit(image, init);
    read.set(
      file,
      init.from === 'masked' ? { ...expand({ image, mask }, init), ...latentMask } : { image, mask: null },
    );
  }
  return files.flatMap((file) => read.get(file) ?? []);
}

/** What is stretched in the latent space has a latent cell at least. */
function checkLatentFit({ width, height }: Size, { fit, rules }: Pick<ImageInit, 'fit' | 'rules'>): void {
  if (fit !== 'latent' || rules !== 'a1111' || (width >= CELL && height >= CELL)) return;
  throw new AppError(
    'invalid_request',
    `An image of ${width} × ${height} pixels is too small to be resized in latent space. Choose another resize mode, or an image of at least ${CELL} × ${CELL} pixels.`,
  );
}

/** The file of each image: one for all, one for each place in a batch, or one for each image. */
function filesOf(files: readonly Blob[], images: number, batchSize: number): Blob[] {
  const fits = files.length === 1 || files.length === images || files.length === Math.min(batchSize, images);
  if (!fits) {
    throw new AppError(
      'invalid_request',
      `There are ${files.length} init images for ${images} images in batches of ${batchSize}. Send one for all, or one for each image of a batch.`,
    );
  }
  return Array.from({ length: images }, (_, index) => files[index % files.length] ?? new Blob());
}

/** The mask in grey, grown and inverted as requested. */
async function readMask({ mask: source, round, expand: sides }: MaskedInit): Promise<Pixels | null> {
  if (source.kind === 'none') {
    if (sides && Object.values(sides).some((pixels) => pixels > 0)) return null;
    throw new AppError(
      'invalid_request',
      'There is nothing to inpaint. Send a mask, or set how far to extend the image on each side.',
    );
  }
  return shapeMask(createBinaryMask(await readPixels(source.mask), round), source);
}

async function readLatentMask({ mask: source }: MaskedInit): Promise<Pick<InitSource, 'latentMask'>> {
  if (source.kind === 'none' || !source.latentMask) return {};
  return { latentMask: toGrey(await readPixels(source.latentMask)) };
}

function shapeMask(
  mask: Pixels,
  { erodeOrDilate: pixels, invert: isInverted }: Exclude<MaskSource, { kind: 'none' }>,
) {
  const grown = pixels === undefined || pixels === 0 ? mask : erodeOrDilate(mask, pixels);
  return isInverted ? invert(grown) : grown;
}

/** The image extended on its sides by repeating its edge; the new area is masked. Source: Fooocus, `apply_outpaint`. */
function expand({ image, mask }: InitSource, { expand: sides }: MaskedInit): InitSource {
  if (!sides) return { image, mask };
  const size = grownSize(image, sides);
  if (size.width * size.height > MOST_PIXELS) {
    throw new AppError(
      'invalid_request',
      `The extended image would have ${size.width} × ${size.height} pixels, more than ${MOST_PIXELS / 2 ** 20} megapixels. Extend it by less.`,
    );
  }
  const own = mask ? stretchMask(mask, image) : createPixels(image, 1);
  return {
    image: padWithEdge(image, sides),
    mask: paste(createPixels(size, 1, 255), own, { x: sides.left, y: sides.top }),
  };
}

function grownSize({ width, height }: Size, { left, top, right, bottom }: Sides): Size {
  return { width: left + width + right, height: top + height + bottom };
}

/** A mask at the size of its image. */
export function stretchMask(mask: Pixels, image: Size): Pixels {
  const isSame = mask.width === image.width && mask.height === image.height;
  return isSame ? mask : resize(mask, { width: image.width, height: image.height }, 'lanczos');
}
