import { createPixels, type Pixels } from '#imaging/pixels.ts';
import type { Size } from '#protocol/job.ts';

/**
 * Resizes without making new colours: each pixel is that under the middle of its place. Pillow's `resize` with NEAREST;
 * src/libImaging/Geometry.c, `ImagingScaleAffine`.
 */
export function resizeNearest(pixels: Pixels, { width, height }: Size): Pixels {
  const { channels, data } = pixels;
  const result = createPixels({ width, height }, channels);
  const columns = nearestPlaces(width, pixels.width);
  let to = 0;
  for (const row of nearestPlaces(height, pixels.height)) {
    for (const column of columns) {
      const from = (row * pixels.width + column) * channels;
      result.data.set(data.subarray(from, from + channels), to);
      to += channels;
    }
  }
  return result;
}

/** Places by repeated addition, as the reference has them. */
function nearestPlaces(target: number, source: number): number[] {
  const step = source / target;
  const places: number[] = [];
  for (let at = step * 0.5; places.length < target; at += step) {
    places.push(Math.min(Math.trunc(at), source - 1));
  }
  return places;
}
