import type { FinishedImage } from '#api/run-job.ts';
import { gridShape, imageGrid } from '#imaging/a1111/grid.ts';
import { readColour } from './colours.ts';
import type { Options } from './options.ts';
import { encodePixels, readPixels } from './pixel-files.ts';

/** The background of a grid: the option `grid_background_color`. */
export function gridBackground({ grid_background_color: colour }: Options): [number, number, number] {
  return readColour(colour) ?? [255, 255, 255];
}

/**
 * All images in one file, which has the first one's infotext (A1111, modules/images.py, `image_grid`).
 * @param batchSize images in a row where the option `n_rows` is 0
 * @param rows instead of the option
 */
export async function composeGrid(
  images: readonly FinishedImage[],
  options: Options,
  batchSize: number,
  rows?: number,
): Promise<Blob> {
  const tiles = await Promise.all(images.map(({ blob }) => readPixels(blob)));
  const shape = gridShape({
    images: tiles.length,
    nRows: options.n_rows,
    batchSize,
    preventEmptySpots: options.grid_prevent_empty_spots,
    ...(rows !== undefined && { rows }),
  });
  const grid = imageGrid(tiles, shape, gridBackground(options));
  return encodePixels(grid, images[0]?.infotext ?? '', options);
}
