/** A weight that may be quantised, and what its errors cost. */
export interface Matrix {
  /** Output channels: rows of the data. */
  rows: number;
  data: Float32Array<ArrayBuffer>;
  /** Error of the network's outputs for an error of the weight: both squared and relative to their power. */
  sensitivity: number;
}

/** int8 levels reach this far. */
const LARGEST_LEVEL = 127;
/** Bytes of a number that is not quantised: float16. */
const EXACT_BYTES = 2;
/**
 * Where int8 makes a weight's mean squared error so many times what its step would make it, float16 is worth its bytes: that is
 * 2·ln 2 for each of the eight or nine bits between them.
 */
const EXACT_PAYS = 12;
/** Steps are 2^(n / this): a last digit that differs between machines changes no file. */
const STEPS_PER_OCTAVE = 16;
/** The search for the size is as fine as this; the rounding of the steps makes each weight follow in its turn. */
const TRIALS_PER_OCTAVE = 256;
/** In root mean squares. Few weights matter as little as calibration says they do of every image. */
const COARSEST = 0.5;

/** Root mean square. */
export function rmsOf(data: Float32Array): number {
  let sum = 0;
  for (const value of data) sum += value * value;
  return Math.sqrt(sum / data.length);
}

/** A weight as int8 levels of its output channels' scales. */
interface Rounded {
  levels: Int8Array<ArrayBuffer>;
  scales: Float32Array<ArrayBuffer>;
}

/** The finest scale of each output channel: int8 must reach its ends. */
function finestScales({ rows, data }: Pick<Matrix, 'rows' | 'data'>): Float32Array<ArrayBuffer> {
  const columns = data.length / rows;
  const scales = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    let largest = 0;
    for (let i = row * columns; i < (row + 1) * columns; i++)
      largest = Math.max(largest, Math.abs(data[i] ?? 0));
    scales[row] = largest / LARGEST_LEVEL;
  }
  return scales;
}

/** Numbers of a weight as multiples of a step; of a coarser one in channels that int8 would not reach the ends of. */
export function roundTo(matrix: Pick<Matrix, 'rows' | 'data'>, step: number): Rounded {
  const { rows, data } = matrix;
  const scales = finestScales(matrix).map((finest) => Math.max(step, finest));
  const columns = data.length / rows;
  const levels = new Int8Array(data.length);
  for (let row = 0, i = 0; row < rows; row++) {
    const scale = scales[row] ?? 1;
    for (const end = i + columns; i < end; i++) levels[i] = Math.round((data[i] ?? 0) / scale);
  }
  return { levels, scales };
}

/** Bytes that entropy coding makes of levels. */
function codedBytes(levels: Int8Array): number {
  const counts = new Float64Array(256);
  for (const level of levels) counts[level & 255] = (counts[level & 255] ?? 0) + 1;
  let bits = 0;
  for (const count of counts) if (count > 0) bits -= count * Math.log2(count / levels.length);
  return bits / 8;
}

/** Bytes of all weights at these steps; those without a step are exact. */
function bytesOf(
  matrices: ReadonlyMap<string, Pick<Matrix, 'rows' | 'data'>>,
  steps: ReadonlyMap<string, number>,
): number {
  let bytes = 0;
  for (const [name, matrix] of matrices) {
    const step = steps.get(name);
    bytes += step === undefined ? EXACT_BYTES * matrix.data.length : codedBytes(roundTo(matrix, step).levels);
  }
  return bytes;
}

/**
 * The step for each weight with which all of them take about so many bytes and the networks' errors are least. Weights that
 * need much finer steps than int8 has levels for are not in the result: they stay as they are.
 *
 * Rounding to multiples of a step d changes a number by d²/12 in the mean square, and entropy coding pays log2(1/d) bits for
 * each of n numbers. The sum of errors s·d² is least for a number of bits where s·d² is proportional to n (reverse water-filling:
 * Cover and Thomas, Elements of Information Theory, 10.3.3).
 */
export function chooseSteps(matrices: ReadonlyMap<string, Matrix>, maxBytes: number): Map<string, number> {
  const facts = [...matrices].map(([name, matrix]) => {
    const rms = rmsOf(matrix.data);
    return {
      name,
      finest: finestScales(matrix),
      coarsest: rms * COARSEST,
      even: rms * Math.sqrt(matrix.data.length / matrix.sensitivity),
    };
  });
  const stepsAt = (trial: number): Map<string, number> => {
    const steps = new Map<string, number>();
    for (const { name, finest, coarsest, even } of facts) {
      const ideal = Math.min(even * 2 ** (trial / TRIALS_PER_OCTAVE), coarsest);
      const step = 2 ** (Math.round(Math.log2(ideal) * STEPS_PER_OCTAVE) / STEPS_PER_OCTAVE);
      const excess = finest.reduce((sum, scale) => sum + Math.max(1, scale / step) ** 2, 0) / finest.length;
      if (excess < EXACT_PAYS) steps.set(name, step);
    }
    return steps;
  };
  // From everything at its finest to everything at its coarsest.
  let [low, high] = [-64 * TRIALS_PER_OCTAVE, 64 * TRIALS_PER_OCTAVE];
  if (bytesOf(matrices, stepsAt(high)) > maxBytes) {
    throw new Error(`The weights do not fit into ${maxBytes} bytes.`);
  }
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (bytesOf(matrices, stepsAt(middle)) <= maxBytes) high = middle;
    else low = middle;
  }
  return stepsAt(high);
}
