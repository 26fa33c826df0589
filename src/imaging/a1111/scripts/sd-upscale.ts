import type { Pixels } from '#imaging/pixels.ts';
import { cutTiles, splitGrid, type TileGrid } from '#imaging/a1111/grid.ts';
import type { Size } from '#protocol/job.ts';

/** The settings of SD upscale, besides the upscaling itself. */
export interface SdUpscaleRequest {
  /** The upscaled image. */
  image: Pixels;
  tile: Size;
  overlap: number;
  seed: number;
  batchSize: number;
  /** How often the whole image is made; `n_iter`. */
  count: number;
}

/** One img2img of a batch of tiles. */
export interface TileBatch {
  seed: number;
  /** Init images; the result of the one at i belongs at place `first + i`. */
  tiles: readonly Pixels[];
  first: number;
}

/** Img2img of all tiles of an image, once for each image wanted. Combine each one's results by `combineGrid`. */
export interface SdUpscalePlan {
  grid: TileGrid;
  images: readonly (readonly TileBatch[])[];
}

/**
 * The runs of SD upscale. The seed grows by one for each batch, not for each tile.
 * Source: A1111 scripts/sd_upscale.py.
 * @throws AppError as `splitGrid` does
 */
export function planSdUpscale({
  image,
  tile,
  overlap,
  seed,
  batchSize,
  count,
}: SdUpscaleRequest): SdUpscalePlan {
  const grid = splitGrid(image, tile, overlap);
  const tiles = cutTiles(image, grid);
  const batches = Array.from({ length: Math.ceil(tiles.length / batchSize) }, (_, i) => ({
    tiles: tiles.slice(i * batchSize, (i + 1) * batchSize),
    first: i * batchSize,
  }));
  return {
    grid,
    images: Array.from({ length: count }, (_, n) =>
      batches.map((batch, i) => ({ ...batch, seed: seed + n + i })),
    ),
  };
}
