/** A square of weights around a centre. */
export interface Kernel {
  /** Cells from the centre to a side. */
  radius: number;
  /** Rows of `2 · radius + 1` weights. */
  weights: Float64Array;
}

/** Numbers in rows. */
interface NumberPlane {
  width: number;
  height: number;
  data: Float64Array;
}

/**
 * A Gaussian that is 0 one cell beyond its radius and 1 in the middle.
 * Source: A1111 extensions-builtin/soft-inpainting, `get_gaussian_kernel`.
 */
export function gaussianKernel(deviation: number, radius: number): Kernel {
  const gaussian = (squares: number) => Math.exp(-squares / (deviation * deviation));
  const edge = gaussian((radius + 1) ** 2);
  const side = 2 * radius + 1;
  const weights = Float64Array.from({ length: side * side }, (_, i) => {
    const [y, x] = [Math.floor(i / side) - radius, (i % side) - radius];
    return Math.max((gaussian(x * x + y * y) - edge) / (1 - edge), 0);
  });
  return { radius, weights };
}

/** Least width of the part of a histogram that is averaged, in weights. */
const LEAST_WIDTH = 1;

/**
 * For each number the mean of a part of the weighted histogram around it: of `[0.25, 0.75]` the middle half.
 * Source: soft-inpainting, `weighted_histogram_filter`.
 */
export function weightedHistogramFilter(
  plane: NumberPlane,
  kernel: Kernel,
  part: readonly [from: number, to: number],
): Float64Array {
  return plane.data.map((_, cell) => averageOf(neighbours(plane, kernel, cell), part));
}

interface Weighted {
  value: number;
  weight: number;
}

function neighbours(
  { width, height, data }: NumberPlane,
  { radius, weights }: Kernel,
  cell: number,
): Weighted[] {
  const [y, x] = [Math.floor(cell / width), cell % width];
  const side = 2 * radius + 1;
  const found: Weighted[] = [];
  for (let row = Math.max(y - radius, 0); row <= Math.min(y + radius, height - 1); row++) {
    for (let column = Math.max(x - radius, 0); column <= Math.min(x + radius, width - 1); column++) {
      const weight = weights[(row - y + radius) * side + column - x + radius] ?? 0;
      found.push({ value: data[row * width + column] ?? 0, weight });
    }
  }
  return found.sort((a, b) => a.value - b.value);
}

function averageOf(sorted: readonly Weighted[], part: readonly [from: number, to: number]): number {
  const total = sorted.reduce((sum, { weight }) => sum + weight, 0);
  const [from, to] = windowOf(total, part);
  let [start, sum, weights] = [0, 0, 0];
  for (const { value, weight } of sorted) {
    const overlap = Math.max(Math.min(to, start + weight) - Math.max(from, start), 0);
    sum += value * overlap;
    weights += overlap;
    start += weight;
  }
  return weights === 0 ? 0 : sum / weights;
}

/** The part of the stack of weights that is averaged, widened to its least width and kept inside. */
function windowOf(total: number, part: readonly [from: number, to: number]): [from: number, to: number] {
  let [from, to] = [total * part[0], total * part[1]];
  if (to - from >= LEAST_WIDTH) return [from, to];
  const centre = (from + to) / 2;
  [from, to] = [centre - LEAST_WIDTH / 2, centre + LEAST_WIDTH / 2];
  if (to > total) [from, to] = [total - LEAST_WIDTH, total];
  return from < 0 ? [0, LEAST_WIDTH] : [from, to];
}
