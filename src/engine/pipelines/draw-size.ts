import type { ModelPack } from '#protocol/model.ts';

export interface Size {
  width: number;
  height: number;
}

/** How far the drawn aspect may be from the asked one before more pixels are better than a truer shape. */
const ASPECT_TOLERANCE = 0.02;

/** A request this much smaller than the trained size is still drawn as it is. */
const SMALLEST_SHARE = 0.5;

/**
 * The size to draw at: the request itself where the model was trained near it, else the size with the
 * trained number of pixels that comes closest to its aspect. Sides are multiples of the latent cell.
 */
export function chooseDrawSize(pack: Pick<ModelPack, 'trainedSizes' | 'latent'>, asked: Size): Size {
  const cell = pack.latent.downscale;
  const trained = pack.trainedSizes.map(([width, height]) => ({ width, height }));
  const area = Math.max(...trained.map(({ width, height }) => width * height));
  const share = (asked.width * asked.height) / area;
  const whole = asked.width % cell === 0 && asked.height % cell === 0;
  if (whole && share <= 1 && share >= SMALLEST_SHARE) return asked;

  const aspect = asked.width / asked.height;
  const same = trained.find(({ width, height }) => Math.abs(width / height / aspect - 1) < ASPECT_TOLERANCE);
  return same ?? nearestOfArea(aspect, area, cell);
}

/** Among sizes of at most `area` pixels whose sides are multiples of `cell`: the aspect, then the pixels. */
function nearestOfArea(aspect: number, area: number, cell: number): Size {
  let best: Size & { error: number } = { width: cell, height: cell, error: Infinity };
  for (let width = cell; width * cell <= area; width += cell) {
    const tallest = Math.floor(area / width / cell) * cell;
    const height = Math.min(tallest, Math.max(cell, Math.round(width / aspect / cell) * cell));
    // Within the tolerance more pixels win; outside of it the aspect does.
    const off = Math.abs(Math.log(width / height / aspect));
    const error = Math.max(off, ASPECT_TOLERANCE) + (1 - (width * height) / area) * 0.1;
    if (error < best.error) best = { width, height, error };
  }
  return { width: best.width, height: best.height };
}
