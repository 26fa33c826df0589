import { createPixels, type FloatPixels, type Pixels } from '#imaging/pixels.ts';

/**
 * A grey image whose values are spread so that two percentiles become 0 and 255; the rest is clamped, fractions are cut
 * off. Where the percentiles are equal, what is above them becomes 255. Source: Fooocus extras/preprocessors.py,
 * `norm255`.
 */
export function spreadPercentiles(grey: FloatPixels, low: number, high: number): Pixels {
  const sorted = grey.data.slice().sort();
  const least = percentile(sorted, low);
  const range = Math.fround(percentile(sorted, high) - least);
  const spread = createPixels(grey, 1);
  for (const [i, value] of grey.data.entries()) {
    const above = Math.fround(value - least);
    const scaled = range === 0 ? (above > 0 ? 255 : 0) : Math.fround(Math.fround(above / range) * 255);
    spread.data[i] = Math.trunc(scaled);
  }
  return spread;
}

/** numpy's percentile: between two values it is linear. */
function percentile(sorted: Float32Array, percent: number): number {
  const position = (percent / 100) * (sorted.length - 1);
  const below = Math.floor(position);
  const lower = sorted[below] ?? 0;
  const upper = sorted[below + 1] ?? lower;
  return Math.fround(lower + (upper - lower) * (position - below));
}
