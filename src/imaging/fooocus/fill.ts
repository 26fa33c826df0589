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
  const kept = mask.data.map((weight) => (weight < 127 ? 1 : 0));
  let filled = pixels;
  for (const [radius, times] of BLURS) {
    for (let i = 0; i < times; i++) filled = keep(boxBlur(filled, radius), pixels, kept);
  }
  return filled;
}

/** Puts the pixels that are kept back in place. */
function keep(blurred: Pixels, { channels, data }: Pixels, kept: Uint8ClampedArray): Pixels {
  for (let i = 0, pixel = 0; pixel < kept.length; pixel++) {
    if (kept[pixel] === 0) i += channels;
    else for (const end = i + channels; i < end; i++) blurred.data[i] = data[i] ?? 0;
  }
  return blurred;
}
