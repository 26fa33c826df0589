import { createPixels, type Pixels } from '#imaging/pixels.ts';

/**
 * Changes each channel of an image so that its values are distributed as those of the target, truncated to 8 bits.
 * Source: scikit-image skimage/exposure/histogram_matching.py, `match_histograms`.
 */
export function matchHistograms(image: Pixels, target: Pixels): Pixels {
  const result = createPixels(image, image.channels);
  for (let channel = 0; channel < image.channels; channel++) {
    const samples = everyNth(image.data, channel, image.channels);
    const matched = matchDistribution(samples, everyNth(target.data, channel, target.channels));
    for (let i = 0; i < matched.length; i++) {
      result.data[i * image.channels + channel] = Math.trunc(matched[i] ?? 0);
    }
  }
  return result;
}

function everyNth(data: Uint8ClampedArray, first: number, step: number): Float64Array {
  return Float64Array.from({ length: data.length / step }, (_, i) => data[first + i * step] ?? 0);
}

/** Values changed so that their distribution is the target's: quantile by quantile, linear in between. */
export function matchDistribution(values: Float64Array, target: Float64Array): Float64Array {
  const own = distribution(values);
  const wanted = distribution(target);
  const matched = own.quantiles.map((quantile) => interpolate(quantile, wanted.quantiles, wanted.values));
  const place = new Map(own.values.map((value, i) => [value, i]));
  return values.map((value) => matched[place.get(value) ?? 0] ?? 0);
}

/** The different values, rising, and the share of the numbers that are not larger than each. */
function distribution(numbers: Float64Array): { values: number[]; quantiles: number[] } {
  const sorted = numbers.slice().sort();
  const values: number[] = [];
  const quantiles: number[] = [];
  for (let i = 0; i < sorted.length; i++) {
    const value = sorted[i] ?? 0;
    if (value === sorted[i + 1]) continue;
    values.push(value);
    quantiles.push((i + 1) / sorted.length);
  }
  return { values, quantiles };
}

/** numpy's `interp`: linear between points, the outermost values outside of them. */
function interpolate(at: number, points: readonly number[], values: readonly number[]): number {
  let [low, high] = [0, points.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((points[middle] ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  const left = low - 1;
  if (left < 0) return values[0] ?? 0;
  if (left >= points.length - 1) return values[points.length - 1] ?? 0;
  const [x0, x1] = [points[left] ?? 0, points[left + 1] ?? 0];
  const [y0, y1] = [values[left] ?? 0, values[left + 1] ?? 0];
  return y0 + ((y1 - y0) / (x1 - x0)) * (at - x0);
}
