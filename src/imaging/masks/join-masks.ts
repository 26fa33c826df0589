import { createPixels, type Pixels } from '#imaging/pixels.ts';
import type { Size } from '#protocol/job.ts';

/** The lightest of each pixel of grey masks of one size; black without any. */
export function joinMasks(size: Size, masks: readonly Pixels[]): Pixels {
  const joined = createPixels({ width: size.width, height: size.height }, 1);
  for (const { data } of masks) {
    data.forEach((sample, i) => (joined.data[i] = Math.max(joined.data[i] ?? 0, sample)));
  }
  return joined;
}
