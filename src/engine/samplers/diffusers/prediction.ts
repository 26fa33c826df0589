import type { Instruction, Register, Term } from '#engine/samplers/program.ts';

export type PredictionType = 'epsilon' | 'v_prediction' | 'sample' | 'flow_prediction';

/** Noisy latents are `alpha · clean + sigma · noise`. */
export interface NoiseLevel {
  alpha: number;
  sigma: number;
}

/** A level beyond the ends of a schedule: every weight computed from it is not finite. */
export const NO_LEVEL: NoiseLevel = { alpha: NaN, sigma: NaN };

/** The level of a cumulative alpha: α² + σ² = 1. */
export function levelOfAlpha(alphaCumprod: number): NoiseLevel {
  return { alpha: Math.sqrt(alphaCumprod), sigma: Math.sqrt(1 - alphaCumprod) };
}

/** The level of variance 1 whose noise is `ratio` times its signal. */
export function levelOfRatio(ratio: number): NoiseLevel {
  const alpha = 1 / Math.sqrt(ratio * ratio + 1);
  return { alpha, sigma: ratio * alpha };
}

/** The level of flow matching, a straight line between clean latents and noise. */
export function flowLevel(sigma: number): NoiseLevel {
  return { alpha: 1 - sigma, sigma };
}

/** Register of the network's output. */
export const OUTPUT: Register = 'output';
/** Register of the estimate of the clean latents. */
export const CLEAN: Register = 'x0';

/**
 * The clean latents that a prediction means.
 * @param from register of the noisy latents at `level`, divided by `scale` (k-diffusion style latents have
 *   weight 1 of the clean ones: their scale is α)
 */
export function cleanTerms(
  type: PredictionType,
  { alpha, sigma }: NoiseLevel,
  from: Register,
  scale = 1,
): Term[] {
  switch (type) {
    case 'epsilon':
      return [
        [scale / alpha, from],
        [-sigma / alpha, OUTPUT],
      ];
    case 'v_prediction':
      return [
        [alpha * scale, from],
        [-sigma, OUTPUT],
      ];
    case 'sample':
      return [[1, OUTPUT]];
    case 'flow_prediction':
      return [
        [scale, from],
        [-sigma, OUTPUT],
      ];
  }
}

/** The noise that a prediction stands for; `from` and `scale` as for {@link cleanTerms}. */
export function noiseTerms(
  type: PredictionType,
  { alpha, sigma }: NoiseLevel,
  from: Register,
  scale = 1,
): Term[] {
  switch (type) {
    case 'epsilon':
      return [[1, OUTPUT]];
    case 'v_prediction':
      return [
        [alpha, OUTPUT],
        [sigma * scale, from],
      ];
    case 'sample':
      return [
        [scale / sigma, from],
        [-alpha / sigma, OUTPUT],
      ];
    case 'flow_prediction':
      return [
        [scale, from],
        [1 - sigma, OUTPUT],
      ];
  }
}

/** The part of a configuration that keeps estimates within bounds. */
export interface Limits {
  clip_sample?: boolean;
  clip_sample_range?: number;
  thresholding?: boolean;
  dynamic_thresholding_ratio?: number;
  sample_max_value?: number;
}

/** Keeps an estimate within the configured bounds; thresholding goes before clipping, as in diffusers. */
export function* limit(register: Register, config: Limits): Generator<Instruction, void, number | undefined> {
  if (config.thresholding) {
    const { dynamic_thresholding_ratio: ratio = 0.995, sample_max_value: maximum = 1 } = config;
    yield { op: 'threshold', register, ratio, maximum };
  } else if (config.clip_sample) {
    yield { op: 'clamp', register, limit: config.clip_sample_range ?? 1 };
  }
}
