import { dilate, erode } from '#imaging/opencv/morphology.ts';
import { mapSamples, type Pixels } from '#imaging/pixels.ts';

/** How much a mask fades with each pixel, and from what. */
const FADE = 8;
const FADE_FROM = 256;

/**
 * A mask that fades out around its white (above 127) by 8 for each pixel of distance along rows, columns and diagonals.
 * Source: Fooocus modules/inpaint_worker.py, `morphological_open`.
 */
export function softenMask(mask: Pixels): Pixels {
  const { width, height } = mask;
  const faded = Int16Array.from(mask.data, (sample) => (sample > 127 ? FADE_FROM : 0));
  const at = (x: number, y: number) =>
    x >= 0 && x < width && y >= 0 && y < height ? (faded[y * width + x] ?? 0) : 0;
  // One way there and one back reach every pixel by a shortest path.
  for (const step of [-1, 1]) {
    for (let i = 0; i < faded.length; i++) {
      const place = step === -1 ? i : faded.length - 1 - i;
      const x = place % width;
      const y = (place - x) / width;
      const nearest = Math.max(at(x - 1, y + step), at(x, y + step), at(x + 1, y + step), at(x + step, y));
      faded[place] = Math.max(faded[place] ?? 0, nearest - FADE);
    }
  }
  return { ...mask, data: Uint8ClampedArray.from(faded) };
}

/** 255 for what is above a threshold, else 0. Source: Fooocus modules/inpaint_worker.py, `up255`. */
export function binarise(mask: Pixels, threshold: number): Pixels {
  return mapSamples(mask, (sample) => (sample > threshold ? 255 : 0));
}

/**
 * The mask grown (positive) or shrunk (negative) by a number of pixels. Source: Fooocus modules/util.py,
 * `erode_or_dilate`.
 */
export function erodeOrDilate(mask: Pixels, pixels: number): Pixels {
  const whole = Math.trunc(pixels);
  return whole > 0 ? dilate(mask, whole) : erode(mask, -whole);
}
