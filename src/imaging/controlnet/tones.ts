import type { Size } from '#protocol/job.ts';
import { rgbToLab } from '#imaging/opencv/lab.ts';
import { resizeArea, resizeCubic, resizeNearest } from '#imaging/opencv/resize.ts';
import { createPixels, greyToRgb, swapRedAndBlue, type Pixels } from '#imaging/pixels.ts';
import { roundHalfToEven } from '#imaging/round.ts';

const { fround } = Math;

/**
 * White where all channels are above a threshold, else black. Source: ControlNet extension legacy/processor.py,
 * `threshold`.
 */
export function thresholdTones(rgb: Pixels, threshold: number): Pixels {
  return mapPixels(rgb, (red, green, blue) => (Math.min(red, green, blue) > threshold ? 255 : 0));
}

/** Rates below this leave the image unchanged. */
const LEAST_RATE = 1.1;

/** An image made smaller by a rate, for tile models. Source: legacy/processor.py, `tile_resample`. */
export function tileResample(rgb: Pixels, rate: number): Pixels {
  if (rate < LEAST_RATE) return rgb;
  const size: Size = { width: Math.trunc(rgb.width / rate), height: Math.trunc(rgb.height / rate) };
  return resizeArea(rgb, size);
}

/** Pixels of a cell's side. */
const CELL = 64;

/**
 * An image at `resolution` in cells of one colour. Source: annotator/color/__init__.py, `apply_color`.
 * @param resolution of the shorter side
 */
export function colourGrid(rgb: Pixels, resolution: number): Pixels {
  const { width, height } = rgb;
  const size: Size =
    height < width
      ? { width: roundHalfToEven((width / height) * resolution), height: resolution }
      : { width: resolution, height: roundHalfToEven((height / width) * resolution) };
  const cells: Size = {
    width: Math.max(Math.floor(size.width / CELL), 1),
    height: Math.max(Math.floor(size.height / CELL), 1),
  };
  return resizeNearest(resizeCubic(resizeArea(rgb, size), cells), size);
}

/**
 * The lightness of Lab, grey. Source: legacy/processor.py, `recolor_luminance`, which hands RGB to OpenCV as BGR.
 * @param gamma the lightness's exponent
 */
export function recolorLuminance(rgb: Pixels, gamma: number): Pixels {
  const lab = rgbToLab(swapRedAndBlue(rgb));
  return mapPixels(lab, (lightness) => applyGamma(lightness, gamma));
}

/** The largest channel, grey. Source: legacy/processor.py, `recolor_intensity`. */
export function recolorIntensity(rgb: Pixels, gamma: number): Pixels {
  return mapPixels(rgb, (red, green, blue) => applyGamma(Math.max(red, green, blue), gamma));
}

function applyGamma(sample: number, gamma: number): number {
  return Math.trunc(fround(fround(fround(sample / 255) ** gamma) * 255));
}

function mapPixels(image: Pixels, change: (first: number, second: number, third: number) => number): Pixels {
  const grey = createPixels(image, 1);
  for (let i = 0; i < grey.data.length; i++) {
    const [first = 0, second = 0, third = 0] = image.data.subarray(i * 3, i * 3 + 3);
    grey.data[i] = change(first, second, third);
  }
  return greyToRgb(grey);
}
