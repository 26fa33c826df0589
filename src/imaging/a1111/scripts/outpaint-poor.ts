import { combineGrid, cutTiles, splitGrid, type TileGrid } from '#imaging/a1111/grid.ts';
import { createPixels, type Margins, type Pixels } from '#imaging/pixels.ts';
import { toRgb } from '#imaging/pillow/convert.ts';
import { paste } from '#imaging/pillow/paste.ts';
import type { Size } from '#protocol/job.ts';
import { fillRectangle } from './fill-rectangle.ts';
import { outpaintMargins, type OutpaintDirection } from './outpaint-size.ts';

/** The settings of poor man's outpainting. */
export interface OutpaintPoorRequest {
  image: Pixels;
  pixels: number;
  maskBlur: number;
  directions: readonly OutpaintDirection[];
  /** Size of one generation. */
  tile: Size;
  seed: number;
}

/** One inpainting of a whole tile. Its masked content is the request's. */
export interface OutpaintTile {
  /** Of the tile in the grid, row after row. */
  place: number;
  seed: number;
  image: Pixels;
  mask: Pixels;
  /** The mask for the fill and the latents. */
  latentMask: Pixels;
}

/** Tiles to inpaint, one by one, and how they make the result. */
export interface OutpaintPoorPlan {
  /** The old image on black. */
  canvas: Pixels;
  mask: Pixels;
  latentMask: Pixels;
  grid: TileGrid;
  tiles: readonly OutpaintTile[];
  /** Standard deviation of the mask's blur, both ways. */
  maskBlur: number;
}

/**
 * Plans poor man's outpainting: the new margins are inpainted tile by tile; tiles wholly inside the old image are left
 * out. Source: A1111 scripts/poor_mans_outpainting.py.
 * @throws AppError `invalid_request` for tiles larger than the result or not larger than `pixels`
 */
export function planOutpaintPoor(request: OutpaintPoorRequest): OutpaintPoorPlan {
  const { image, pixels, maskBlur, directions, tile, seed } = request;
  const { target, margins } = outpaintMargins(image, pixels, directions);
  const { left, right, top, bottom } = margins;
  const canvas = paste(createPixels(target, 3), toRgb(image), { x: left, y: top });
  const maskOf = (inset: number) =>
    fillRectangle(createPixels(target, 1, 255), 0, {
      x1: left + (left > 0 ? inset : 0),
      y1: top + (top > 0 ? inset : 0),
      x2: target.width - right - (right > 0 ? inset : 0),
      y2: target.height - bottom - (bottom > 0 ? inset : 0),
    });
  const mask = maskOf(maskBlur * 2);
  const latentMask = maskOf(Math.floor(maskBlur / 2));
  const grid = splitGrid(target, tile, pixels);
  const [images, masks, latentMasks] = [canvas, mask, latentMask].map((pixels) => cutTiles(pixels, grid));
  const tiles = newPlaces(grid, margins).map((place, i) => ({
    place,
    seed: seed + i,
    image: images?.[place] ?? canvas,
    mask: masks?.[place] ?? mask,
    latentMask: latentMasks?.[place] ?? latentMask,
  }));
  return { canvas, mask, latentMask, grid, tiles, maskBlur: maskBlur * 2 };
}

/** Places, row after row, of the tiles that reach into a margin. */
function newPlaces({ rows, tile, image }: TileGrid, { left, right, top, bottom }: Margins): number[] {
  return rows.flat().flatMap(({ x, y }, place) => {
    const inside =
      x >= left &&
      x + tile.width <= image.width - right &&
      y >= top &&
      y + tile.height <= image.height - bottom;
    return inside ? [] : [place];
  });
}

/** The outpainted image of the plan's inpainted tiles, in their order. */
export function combineOutpaintPoor(
  { canvas, grid, tiles }: OutpaintPoorPlan,
  results: readonly Pixels[],
): Pixels {
  const all = cutTiles(canvas, grid);
  tiles.forEach(({ place }, i) => {
    all[place] = results[i] ?? createPixels(grid.tile, 3);
  });
  return combineGrid(grid, all);
}
