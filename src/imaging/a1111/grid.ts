import { createPixels, type Pixels } from '#imaging/pixels.ts';
import { toRgb } from '#imaging/pillow/convert.ts';
import { crop, filled, pasteInto, type Place } from '#imaging/pillow/paste.ts';
import { roundHalfToEven } from '#imaging/round.ts';
import { AppError } from '#protocol/error.ts';
import type { Size } from '#protocol/job.ts';

/** An image cut into tiles of one size that overlap. */
export interface TileGrid {
  image: Size;
  tile: Size;
  /** Pixels over which two tiles fade into each other. */
  overlap: number;
  /** Left upper pixels of the tiles, by rows from the top. */
  rows: readonly (readonly Place[])[];
}

/**
 * Cuts an image into tiles. Source: A1111 modules/images.py, `split_grid`.
 * @throws AppError `invalid_request` for an image smaller than a tile, and for tiles not larger than their overlap
 */
export function splitGrid(image: Size, tile: Size, overlap: number): TileGrid {
  if (tile.width <= overlap || tile.height <= overlap) {
    throw new AppError(
      'invalid_request',
      `Tiles of ${tile.width}×${tile.height} cannot overlap by ${overlap} pixels. Make the tiles larger, or the overlap smaller.`,
    );
  }
  if (image.width < tile.width || image.height < tile.height) {
    throw new AppError(
      'invalid_request',
      `The image, ${image.width}×${image.height}, is smaller than a tile of ${tile.width}×${tile.height}. Make the image larger, or the tiles smaller.`,
    );
  }
  const columns = tilePlaces(image.width, tile.width, overlap);
  const rows = tilePlaces(image.height, tile.height, overlap);
  return { image, tile, overlap, rows: rows.map((y) => columns.map((x) => ({ x, y }))) };
}

/** Starts of the tiles along a side, evenly spread. */
function tilePlaces(side: number, tile: number, overlap: number): number[] {
  const count = Math.ceil((side - overlap) / (tile - overlap));
  const distance = count > 1 ? (side - tile) / (count - 1) : 0;
  return Array.from({ length: count }, (_, i) => Math.min(Math.trunc(i * distance), side - tile));
}

/** The pixels of each tile, row after row. */
export function cutTiles(image: Pixels, { rows, tile }: TileGrid): Pixels[] {
  return rows
    .flat()
    .map(({ x, y }) => crop(image, { x1: x, y1: y, x2: x + tile.width, y2: y + tile.height }));
}

/**
 * The image of tiles: each fades in over the one to its left, each row over the one above.
 * Source: A1111 modules/images.py, `combine_grid`.
 * @param tiles row after row; missing ones are black
 */
export function combineGrid({ image, tile, overlap, rows }: TileGrid, tiles: readonly Pixels[]): Pixels {
  const combined = createPixels(image, 3);
  let next = 0;
  for (const row of rows) {
    const line = createPixels({ width: image.width, height: tile.height }, 3);
    for (const { x } of row) {
      const own = toRgb(tiles[next] ?? createPixels(tile, 3));
      next += 1;
      pasteInto(line, own, { x, y: 0 }, x === 0 ? undefined : fade(own, overlap, 'x'));
    }
    const y = row[0]?.y ?? 0;
    pasteInto(combined, line, { x: 0, y }, y === 0 ? undefined : fade(line, overlap, 'y'));
  }
  return combined;
}

/** A mask that grows from nothing to all but all over the first `overlap` pixels of a direction. */
function fade(size: Size, overlap: number, along: 'x' | 'y'): Pixels {
  const mask = createPixels(size, 1);
  for (let i = 0; i < mask.data.length; i++) {
    const depth = along === 'x' ? i % size.width : Math.floor(i / size.width);
    mask.data[i] = depth < overlap ? Math.trunc(Math.fround(Math.fround(depth * 255) / overlap)) : 255;
  }
  return mask;
}

/** What the shape of a grid of images follows from. */
export interface GridRequest {
  images: number;
  /** Rows where the caller knows them. */
  rows?: number;
  /** Images of a batch, for `n_rows` 0. */
  batchSize?: number;
  /** The setting `n_rows`: rows above 0, a batch a row at 0, about a square at −1. */
  nRows?: number;
  /** `grid_prevent_empty_spots`: as square as it can be without an empty place. */
  preventEmptySpots?: boolean;
}

/** Rows and columns of a grid. Source: A1111 modules/images.py, `image_grid`. */
export function gridShape(request: GridRequest): { columns: number; rows: number } {
  const { images } = request;
  const rows = Math.min(request.rows ?? chooseRows(request), images);
  return { columns: Math.ceil(images / rows), rows };
}

function chooseRows({ images, batchSize = 1, nRows = -1, preventEmptySpots = false }: GridRequest): number {
  if (nRows > 0) return nRows;
  if (nRows === 0) return batchSize;
  if (!preventEmptySpots) return roundHalfToEven(Math.sqrt(images));
  let rows = Math.floor(Math.sqrt(images));
  while (images % rows !== 0) rows -= 1;
  return rows;
}

/**
 * One RGB image of several, row after row, each in the middle of a cell as large as the largest.
 * Source: A1111 modules/images.py, `image_grid`.
 * @param background `grid_background_color`
 */
export function imageGrid(
  images: readonly Pixels[],
  { columns, rows }: { columns: number; rows: number },
  background: readonly [number, number, number] = [255, 255, 255],
): Pixels {
  const width = Math.max(...images.map((image) => image.width));
  const height = Math.max(...images.map((image) => image.height));
  const grid = filled({ width: columns * width, height: rows * height }, background);
  for (const [i, image] of images.entries()) {
    const x = (i % columns) * width + Math.floor((width - image.width) / 2);
    const y = Math.floor(i / columns) * height + Math.floor((height - image.height) / 2);
    pasteInto(grid, toRgb(image), { x, y });
  }
  return grid;
}
