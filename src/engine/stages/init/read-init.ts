import { readImage } from '#engine/stages/pixels/read-image.ts';
import type { Pixels } from '#engine/stages/pixels/resize.ts';
import type { Init } from '#protocol/job.ts';

/** What is under transparent parts: of images A1111's `img2img_background_color`; of masks, that nothing is generated. */
const [WHITE, BLACK] = [255, 0];

/** What a pass starts from where it does not start from noise. */
export interface InitImages {
  /** One for each image that is generated. */
  images: readonly Pixels[];
  /** White where the image is generated again; null where all of it is. */
  mask: Pixels | null;
}

/**
 * Reads what `count` images start from, each file once; null is noise.
 * @throws AppError `invalid_request` for files that are no images
 */
export async function readInit(init: Init, count: number): Promise<InitImages | null> {
  if (init.from === 'noise') return null;
  const read = new Map<Blob, Pixels>();
  const images: Pixels[] = [];
  for (let index = 0; index < count; index++) {
    const file = init.images[index] ?? init.images[0] ?? new Blob();
    const pixels = read.get(file) ?? (await readImage(file, WHITE));
    read.set(file, pixels);
    images.push(pixels);
  }
  return { images, mask: init.from === 'masked' ? await readImage(init.mask, BLACK) : null };
}
