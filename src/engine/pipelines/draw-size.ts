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
 * trained number of pixels that comes closest to its aspect. Sides are multiples of what the networks can
 * run.
 */
export function chooseDrawSize(pack: Pick<ModelPack, 'trainedSizes' | 'latent'>, asked: Size): Size {
  const multiple = pack.latent.sizeMultiple;
  const trained = pack.trainedSizes.map(([width, height]) => ({ width, height }));
  const area = Math.max(...trained.map(({ width, height }) => width * height));
  const share = (asked.width * asked.height) / area;
  const runs = asked.width % multiple === 0 && asked.height % multiple === 0;
  if (runs && share <= 1 && share >= SMALLEST_SHARE) return asked;

  const aspect = asked.width / asked.height;
  const same = trained.find(({ width, height }) => Math.abs(width / height / aspect - 1) < ASPECT_TOLERANCE);
  return same ?? nearestOfArea(aspect, area, multiple);
}

/** Among sizes of at most `area` pixels whose sides are multiples of `multiple`: the aspect, then the pixels. */
function nearestOfArea(aspect: number, area: number, multiple: number): Size {
  let best: Size & { error: number } = { width: multiple, height: multiple, error: Infinity };
  for (let width = multiple; width * multiple <= area; width += multiple) {
    const tallest = Math.floor(area / width / multiple) * multiple;
    const height = Math.min(tallest, Math.max(multiple, Math.round(width / aspect / multiple) * multiple));
    // Within the tolerance more pixels win; outside of it the aspect does.
    const off = Math.abs(Math.log(width / height / aspect));
    const error = Math.max(off, ASPECT_TOLERANCE) + (1 - (width * height) / area) * 0.1;
    if (error < best.error) best = { width, height, error };
  }
  return { width: best.width, height: best.height };
}
