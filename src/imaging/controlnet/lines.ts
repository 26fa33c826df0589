import { canny } from '#imaging/opencv/canny.ts';
import { gaussianBlurFloat, kernelOfSigma } from '#imaging/opencv/gaussian-blur.ts';
import { createPixels, greyToRgb, toFloat, type FloatPixels, type Pixels } from '#imaging/pixels.ts';

const { fround } = Math;

/** White edges on black. Source: ControlNet extension model_free_preprocessors.py, `PreprocessorCanny`. */
export function cannyLines(rgb: Pixels, thresholds: readonly [number, number]): Pixels {
  return greyToRgb(canny(rgb, [Math.trunc(thresholds[0]), Math.trunc(thresholds[1])]));
}

/** Spreads of the two blurs that XDoG subtracts. */
const XDOG_SIGMAS = [0.5, 5] as const;

/**
 * White strokes where an image is darker than around. Source: ControlNet extension model_free_preprocessors.py,
 * `PreprocessorScribbleXdog`: difference of Gaussians (Winnemöller, Kyprianidis & Olsen 2012).
 */
export function xdogScribble(rgb: Pixels, threshold: number): Pixels {
  const [near, far] = XDOG_SIGMAS.map((sigma) =>
    gaussianBlurFloat(toFloat(rgb), kernelOfSigma(sigma, 'float32')),
  );
  if (!near || !far) return rgb;
  const darkness = leastDifference(far, near);
  const strokes = createPixels(rgb, 1);
  for (const [i, value] of darkness.entries()) {
    const lightness = Math.trunc(Math.min(Math.max(fround(255 - value), 0), 255));
    // 8 bits in the reference, so doubling wraps around.
    if (((2 * (255 - lightness)) & 255) > threshold) strokes.data[i] = 255;
  }
  return greyToRgb(strokes);
}

const LINEART_SIGMA = 6;

/**
 * White lines where an image is darker than around, as strong as it is. Source: ControlNet extension
 * legacy/processor.py, `lineart_standard`.
 */
export function standardLineart(rgb: Pixels): Pixels {
  const image = toFloat(rgb);
  const intensity = leastDifference(gaussianBlurFloat(image, kernelOfSigma(LINEART_SIGMA, 'float32')), image);
  intensity.forEach((value, i) => (intensity[i] = Math.min(Math.max(value, 0), 255)));
  const strong = medianOf(intensity.filter((value) => value > 8));
  const divisor = Math.max(16, strong ?? 16);
  const lines = createPixels(rgb, 1);
  for (const [i, value] of intensity.entries())
    lines.data[i] = Math.trunc(fround(fround(value / divisor) * 127));
  return greyToRgb(lines);
}

/** The least of the channels' `a − b`. */
function leastDifference(a: FloatPixels, b: FloatPixels): Float32Array {
  return Float32Array.from({ length: a.width * a.height }, (_, i) =>
    Math.min(...[0, 1, 2].map((channel) => (a.data[i * 3 + channel] ?? 0) - (b.data[i * 3 + channel] ?? 0))),
  );
}

function medianOf(values: Float32Array): number | undefined {
  const sorted = values.slice().sort();
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  return upper === undefined || lower === undefined ? undefined : fround((upper + lower) / 2);
}
