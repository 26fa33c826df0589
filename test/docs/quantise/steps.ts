import { entropyCoded } from '../../support/deflated.ts';

/** A weight that is quantised, and what its errors cost. */
export interface QuantisedWeight {
  data: Float32Array<ArrayBuffer>;
  /** Error of the network's outputs for an error of the weight: both squared and relative to their power. */
  sensitivity: number;
}

/** int8 levels reach this far. */
const LARGEST_LEVEL = 127;
/** Steps are 2^(n / this): a last digit that differs between machines changes no file. */
const STEPS_PER_OCTAVE = 16;
/** In root mean squares. Few weights matter as little as calibration says they do of every image. */
const COARSEST = 1;

/** Root mean square. */
export function rmsOf(data: Float32Array): number {
  let sum = 0;
  for (const value of data) sum += value * value;
  return Math.sqrt(sum / data.length);
}

/** Numbers of a weight as multiples of a step. */
export function roundTo(data: Float32Array, step: number): Int8Array<ArrayBuffer> {
  return Int8Array.from(data, (value) =>
    Math.max(-LARGEST_LEVEL, Math.min(LARGEST_LEVEL, Math.round(value / step))),
  );
}

/**
 * The step for each weight with which all of them take at most so many bytes and the networks' errors are least.
 *
 * Rounding to multiples of a step d changes a number by d²/12 in the mean square, and entropy coding pays log2(1/d) bits for
 * each of n numbers. The sum of errors s·d² is least for a number of bits where s·d² is proportional to n (reverse water-filling:
 * Cover and Thomas, Elements of Information Theory, 10.3.3).
 */
export function chooseSteps(
  weights: ReadonlyMap<string, QuantisedWeight>,
  maxBytes: number,
): Map<string, number> {
  const facts = [...weights].map(([name, { data, sensitivity }]) => {
    const largest = data.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    const rms = rmsOf(data);
    return {
      name,
      data,
      rms,
      finest: largest / LARGEST_LEVEL,
      even: rms * Math.sqrt(data.length / sensitivity),
    };
  });
  const stepsAt = (level: number) =>
    new Map(
      facts.map(({ name, rms, finest, even }) => {
        const ideal = Math.max(finest, Math.min(even * 2 ** (level / STEPS_PER_OCTAVE), rms * COARSEST));
        return [name, 2 ** (Math.ceil(Math.log2(ideal) * STEPS_PER_OCTAVE) / STEPS_PER_OCTAVE)];
      }),
    );
  const bytesAt = (level: number): number => {
    const steps = stepsAt(level);
    return facts.reduce((sum, { name, data }) => {
      const levels = roundTo(data, steps.get(name) ?? 1);
      return sum + entropyCoded(levels).length;
    }, 0);
  };
  // Everything at its finest, and everything at its coarsest.
  let [low, high] = [-64 * STEPS_PER_OCTAVE, 64 * STEPS_PER_OCTAVE];
  if (bytesAt(high) > maxBytes) throw new Error(`The weights do not fit into ${maxBytes} bytes.`);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (bytesAt(middle) <= maxBytes) high = middle;
    else low = middle;
  }
  return stepsAt(high);
}
