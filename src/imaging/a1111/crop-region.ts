import type { Pixels, Region } from '#imaging/pixels.ts';
import type { Size } from '#protocol/job.ts';

/**
 * The box around everything in a grey mask that is not black, with `padding` pixels more on each side as far as the
 * mask reaches; null for a black mask. Source: A1111 modules/masking.py, `get_crop_region_v2`.
 */
export function getCropRegion({ width, height, data }: Pixels, padding: number): Region | null {
  let [x1, y1, x2, y2] = [width, height, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (data[y * width + x] === 0) continue;
      x1 = Math.min(x1, x);
      y1 = Math.min(y1, y);
      x2 = Math.max(x2, x + 1);
      y2 = Math.max(y2, y + 1);
    }
  }
  if (x2 === 0) return null;
  return {
    x1: Math.max(x1 - padding, 0),
    y1: Math.max(y1 - padding, 0),
    x2: Math.min(x2 + padding, width),
    y2: Math.min(y2 + padding, height),
  };
}

/**
 * Widens a box to the ratio of the size it will be generated at, then moves it inside the image and cuts what does
 * not fit. Source: A1111 modules/masking.py, `expand_crop_region`.
 * @param processing size at which the box will be generated
 * @param image size of the image that contains the box
 */
export function expandCropRegion({ x1, y1, x2, y2 }: Region, processing: Size, image: Size): Region {
  const width = x2 - x1;
  const height = y2 - y1;
  const ratio = processing.width / processing.height;
  if (width / height > ratio) {
    const [from, to] = widen(y1, y2, Math.trunc(width / ratio - height), image.height);
    return { x1, y1: from, x2, y2: to };
  }
  const [from, to] = widen(x1, x2, Math.trunc(height * ratio - width), image.width);
  return { x1: from, y1, x2: to, y2 };
}

/** Adds `extra` pixels around a span, half of them before it, and keeps it between 0 and `limit`. */
function widen(start: number, end: number, extra: number, limit: number): [from: number, to: number] {
  const before = Math.floor(extra / 2);
  let from = start - before;
  let to = end + extra - before;
  if (to >= limit) {
    from -= to - limit;
    to = limit;
  }
  if (from < 0) {
    to -= from;
    from = 0;
  }
  return [from, Math.min(to, limit)];
}
