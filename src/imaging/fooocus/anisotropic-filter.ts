import { reflect } from '#imaging/opencv/convolve.ts';
import { createPlanes, type Planes } from '#imaging/planes.ts';

/** Cells that the filter looks at to each side: a window of 13 × 13. */
const RADIUS = 6;
const SIGMA_SPACE = 3;
const SIGMA_VALUE = 3;

/** The Gaussian of distance, row by row of the window. Its sum does not matter: the filter divides by the weights it used. */
const SPACE = Float64Array.from({ length: (2 * RADIUS + 1) ** 2 }, (_, i) => {
  const y = Math.floor(i / (2 * RADIUS + 1)) - RADIUS;
  const x = (i % (2 * RADIUS + 1)) - RADIUS;
  return Math.exp(-(x * x + y * y) / (2 * SIGMA_SPACE ** 2));
});

/**
 * Smooths latents within what looks alike in others: a joint bilateral filter of 13 × 13 with both deviations 3, where the
 * distance of two cells is the sum over channels of how much the standardized guide differs. The border is reflected without the edge.
 * Source: Fooocus, modules/anisotropic.py, `adaptive_anisotropic_filter`; Petschnigg et al. 2004, "Digital photography with flash and
 * no-flash image pairs".
 * @param guide of the same shape
 */
export function anisotropicFilter({ channels, height, width, data }: Planes, guide: Planes): Planes {
  const like = standardize(guide.data);
  const cells = height * width;
  const rows = reflected(height);
  const columns = reflected(width);
  const result = createPlanes({ channels, height, width });
  const sums = new Float64Array(channels);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const own = y * width + x;
      let total = 0;
      let tap = 0;
      sums.fill(0);
      for (let row = y; row <= y + 2 * RADIUS; row++) {
        const start = (rows[row] ?? 0) * width;
        for (let column = x; column <= x + 2 * RADIUS; column++, tap++) {
          const other = start + (columns[column] ?? 0);
          let distance = 0;
          for (let at = 0; at < like.length; at += cells) {
            distance += Math.abs((like[at + other] ?? 0) - (like[at + own] ?? 0));
          }
          const weight = (SPACE[tap] ?? 0) * Math.exp((-0.5 / SIGMA_VALUE ** 2) * distance * distance);
          total += weight;
          for (let channel = 0; channel < channels; channel++) {
            sums[channel] = (sums[channel] ?? 0) + weight * (data[channel * cells + other] ?? 0);
          }
        }
      }
      sums.forEach((sum, channel) => (result.data[channel * cells + own] = sum / total));
    }
  }
  return result;
}

/** All values with mean 0 and deviation 1; the deviation counts one value less, as torch's does. */
function standardize(values: Float32Array): Float32Array {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const deviation = Math.sqrt(squares / (values.length - 1)) + 1e-5;
  return values.map((value) => (value - mean) / deviation);
}

/** The places from `RADIUS` before the first to `RADIUS` behind the last, reflected at the ends as often as it takes. */
function reflected(length: number): Int32Array {
  return Int32Array.from({ length: length + 2 * RADIUS }, (_, i) => reflect(i - RADIUS, length));
}
