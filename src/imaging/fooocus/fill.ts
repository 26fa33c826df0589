import { boxBlur } from '#imaging/pillow/blur.ts';
import type { Pixels } from '#imaging/pixels.ts';

/** Radii of the blurs, and how often each is done. */
const BLURS = [
  [512, 2],
  [256, 2],
  [128, 4],
  [64, 4],
  [33, 8],
  [15, 8],
  [5, 16],
  [3, 16],
] as const;

/**
 * The image with its masked part (mask 127 and above) filled from around: blurred many times, ever less, the rest put
 * back each time. Source: Fooocus modules/inpaint_worker.py, `fooocus_fill`.
 */
export function fillMasked(pixels: Pixels, mask: Pixels): Pixels {
  const { channels } = pixels;
  let filled = pixels;
  for (const [radius, times] of BLURS) {
    for (let i = 0; i < times; i++) {
      const { data } = (filled = boxBlur(filled, radius));
      for (const [pixel, weight] of mask.data.entries()) {
        if (weight >= 127) continue;
        const start = pixel * channels;
        data.set(pixels.data.subarray(start, start + channels), start);
      }
    }
  }
  return filled;
}
