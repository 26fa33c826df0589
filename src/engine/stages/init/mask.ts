import { stretch, type Pixels } from '#engine/stages/pixels/resize.ts';
import type { Planes } from '#engine/stages/pixels/tiles.ts';
import type { LatentShape } from '#engine/stages/denoise/unet.ts';

/** Masks are images: what is this bright, or brighter, is generated again. */
const THRESHOLD = 128;

/** 1 for a pixel that is generated again, 0 for one that stays; by Pillow's brightness: ITU-R 601, in 16 bits. */
function isMasked({ data }: Pixels, pixel: number): 0 | 1 {
  const [red, green, blue] = [data[pixel * 4] ?? 0, data[pixel * 4 + 1] ?? 0, data[pixel * 4 + 2] ?? 0];
  return (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16 >= THRESHOLD ? 1 : 0;
}

/**
 * The mask of the latents, 1 or 0 for each cell, by its upper left pixel: torch's nearest. Source: diffusers'
 * `prepare_mask_latents`; A1111 does the same for what inpainting models are given.
 */
export function nearestCells(mask: Pixels, { height, width }: LatentShape): Float32Array {
  const downscale = mask.width / width;
  return Float32Array.from({ length: height * width }, (_, cell) => {
    const x = (cell % width) * downscale;
    const y = Math.floor(cell / width) * downscale;
    return isMasked(mask, y * mask.width + x);
  });
}

/**
 * The same by what prevails in the cell. Source: A1111 modules/processing.py, `latmask`, whose filter, Pillow's cubic,
 * reaches as far.
 */
export async function averagedCells(mask: Pixels, { height, width }: LatentShape): Promise<Float32Array> {
  const cells = await stretch(mask, { width, height }, 'lanczos2');
  return Float32Array.from({ length: height * width }, (_, cell) => isMasked(cells, cell));
}

/** An image in −1 … 1 with 0, a middle grey, where it is generated again: what inpainting models see of it. */
export function hideMasked({ data, ...image }: Planes, mask: Pixels): Planes {
  const area = image.height * image.width;
  return { ...image, data: data.map((value, i) => (isMasked(mask, i % area) === 1 ? 0 : value)) };
}
