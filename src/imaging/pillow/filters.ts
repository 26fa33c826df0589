/** Pillow's resampling filters by name, each with the reach it has at a scale of 1 or more. */
export const pillowFilters = {
  box: { support: 0.5, weight: (x: number) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x: number) => Math.max(1 - Math.abs(x), 0) },
  hamming: { support: 1, weight: hamming },
  bicubic: { support: 2, weight: bicubic },
  lanczos: { support: 3, weight: (x: number) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
} as const satisfies Record<string, { support: number; weight: (x: number) => number }>;

/** Name of a filter that averages. */
export type PillowFilter = keyof typeof pillowFilters;

/** The weights of each sample of a resized line. */
export interface ResampleTaps {
  /** First source sample, by target sample. */
  from: Int32Array;
  /** Number of source samples, by target sample. */
  count: Int32Array;
  /** Weights times 2^22, `stride` for each target sample. */
  weights: Int32Array;
  stride: number;
}

/** Fixed-point digits of the weights. */
export const PRECISION_BITS = 22;

/**
 * Weights of a resized line in Pillow's fixed point. Source: Pillow src/libImaging/Resample.c, `precompute_coeffs`,
 * `normalize_coeffs_8bpc`.
 * @param source samples of the line
 * @param span part of the line that is resized, in samples; it may be empty, which extrapolates from its place
 * @param target samples wanted
 */
export function resampleTaps(
  source: number,
  [start, end]: readonly [start: number, end: number],
  target: number,
  name: PillowFilter,
): ResampleTaps {
  const { support, weight } = pillowFilters[name];
  const scale = (end - start) / target;
  const stretch = Math.max(scale, 1);
  const reach = support * stretch;
  const stride = Math.ceil(reach) * 2 + 1;
  const taps: ResampleTaps = {
    from: new Int32Array(target),
    count: new Int32Array(target),
    weights: new Int32Array(target * stride),
    stride,
  };
  for (let x = 0; x < target; x++) {
    const centre = start + (x + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - reach + 0.5), 0);
    const last = Math.min(Math.trunc(centre + reach + 0.5), source);
    const own = Array.from({ length: Math.max(last - first, 0) }, (_, i) =>
      weight((i + first - centre + 0.5) / stretch),
    );
    const sum = own.reduce((total, value) => total + value, 0);
    taps.from[x] = first;
    taps.count[x] = own.length;
    own.forEach((value, i) => {
      const fixed = (sum === 0 ? value : value / sum) * 2 ** PRECISION_BITS;
      taps.weights[x * stride + i] = Math.trunc(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
    });
  }
  return taps;
}

function bicubic(offset: number): number {
  const x = Math.abs(offset);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? -0.5 * (((x - 5) * x + 8) * x - 4) : 0;
}

function hamming(offset: number): number {
  const x = Math.abs(offset);
  if (x >= 1) return 0;
  return sinc(x) * (0.54 + 0.46 * Math.cos(Math.PI * x));
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}
