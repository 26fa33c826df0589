import {
  arangeDown,
  betaSigmas,
  exponentialSigmas,
  interpolate,
  karrasSigmas,
  linspace,
  roundHalfEven,
  sigmasOf,
  timestepOfSigma,
} from '#engine/samplers/noise-schedule.ts';
import { AppError } from '#protocol/error.ts';

/** Configuration of how a run's timesteps are chosen. */
export interface SpacingConfig {
  num_train_timesteps: number;
  timestep_spacing: 'linspace' | 'leading' | 'trailing';
  steps_offset: number;
}

/**
 * Timesteps of a run, falling. With `linspace` they are fractional, as Euler and its kin take them.
 * Source: Lin et al. 2023, table 2.
 */
function spaceTimesteps(config: SpacingConfig, steps: number): number[] {
  const { num_train_timesteps: train, steps_offset: offset } = config;
  switch (config.timestep_spacing) {
    case 'linspace':
      return linspace(0, train - 1, steps)
        .reverse()
        .map(Math.fround);
    case 'leading': {
      const ratio = Math.floor(train / steps);
      return Array.from({ length: steps }, (_, i) => (steps - 1 - i) * ratio + offset);
    }
    case 'trailing':
      return trailing(train, train / steps, steps);
  }
}

/** {@link spaceTimesteps}, whole. @throws AppError `invalid_request` with more steps than training timesteps */
export function spaceWholeTimesteps(config: SpacingConfig, steps: number): number[] {
  requireTrained(config.num_train_timesteps, steps);
  return spaceTimesteps(config, steps).map(roundHalfEven);
}

/**
 * Whole timesteps of the DPM-Solver family, which leaves out the end that the other spacings include.
 * @param last one above the highest timestep that may be used
 */
export function spaceSolverTimesteps(config: SpacingConfig, steps: number, last: number): number[] {
  requireTrained(config.num_train_timesteps, steps);
  switch (config.timestep_spacing) {
    case 'linspace':
      return linspace(0, last - 1, steps + 1)
        .reverse()
        .slice(0, -1)
        .map(roundHalfEven);
    case 'leading': {
      const ratio = Math.floor(last / (steps + 1));
      return Array.from({ length: steps }, (_, i) => (steps - i) * ratio + config.steps_offset);
    }
    case 'trailing':
      return trailing(last, config.num_train_timesteps / steps, steps);
  }
}

/** Rounding can make numpy's `arange` one too long; the entry past the end is left out. */
function trailing(from: number, ratio: number, steps: number): number[] {
  return arangeDown(from, 0, ratio)
    .slice(0, steps)
    .map((timestep) => roundHalfEven(timestep) - 1);
}

function requireTrained(train: number, steps: number): void {
  if (steps > train) {
    throw new AppError(
      'invalid_request',
      `The model was trained on ${train} timesteps and cannot run ${steps} steps. Use fewer.`,
    );
  }
}

/** Configuration of the curve that a run's sigmas follow. */
export interface SigmaCurveConfig {
  use_karras_sigmas: boolean;
  use_exponential_sigmas: boolean;
  use_beta_sigmas: boolean;
  sigma_min?: number | undefined;
  sigma_max?: number | undefined;
}

/**
 * Sigmas between the ends of a range on the configured curve, or undefined where none is configured.
 * @throws AppError `invalid_request` when several are
 */
export function curveSigmas(
  config: SigmaCurveConfig,
  steps: number,
  range: { min: number; max: number },
): number[] | undefined {
  const curves = [
    config.use_karras_sigmas && karrasSigmas,
    config.use_exponential_sigmas && exponentialSigmas,
    config.use_beta_sigmas && betaSigmas,
  ].filter((curve) => curve !== false);
  if (curves.length > 1) {
    throw new AppError(
      'invalid_request',
      'Only one of use_karras_sigmas, use_exponential_sigmas and use_beta_sigmas can be set.',
    );
  }
  return curves[0]?.(steps, config.sigma_min ?? range.min, config.sigma_max ?? range.max);
}

/** The steps of a run on latents of the form clean + sigma · noise (Karras et al. 2022), as Euler takes them. */
export interface SigmaSteps {
  /** One per step, then the one the run ends at. */
  sigmas: number[];
  /** One per step. */
  timesteps: number[];
  initNoiseSigma: number;
  /** log σ of the training timesteps. */
  logSigmas: Float32Array;
}

export interface SigmaSpacingConfig extends SpacingConfig, SigmaCurveConfig {
  interpolation_type?: 'linear' | 'log_linear';
  final_sigmas_type?: 'zero' | 'sigma_min';
}

/**
 * Timesteps by spacing, or by their sigma where a curve of sigmas is configured.
 * @param alphas ᾱ of the training timesteps, none 0
 * @param wholeKarras round the timesteps of Karras' sigmas
 */
export function spaceSigmas(
  config: SigmaSpacingConfig,
  steps: number,
  alphas: Float32Array,
  wholeKarras = false,
): SigmaSteps {
  const table = sigmasOf(alphas);
  const logSigmas = table.map(Math.log);
  const [lowest, highest] = [table[0] ?? NaN, table.at(-1) ?? NaN];
  let timesteps = spaceTimesteps(config, steps);
  let sigmas =
    config.interpolation_type === 'log_linear'
      ? exponentialSigmas(steps + 1, lowest, highest)
      : timesteps.map((timestep) => interpolate(table, timestep));
  const curve = curveSigmas(config, steps, { min: sigmas.at(-1) ?? NaN, max: sigmas[0] ?? NaN });
  if (curve) {
    sigmas = curve;
    timesteps = curve.map((sigma) => timestepOfSigma(sigma, logSigmas));
    if (config.use_karras_sigmas && wholeKarras) timesteps = timesteps.map(roundHalfEven);
  }
  // Log-linear interpolation brings an end of its own.
  sigmas = [...sigmas, config.final_sigmas_type === 'sigma_min' ? lowest : 0]
    .slice(0, steps + 1)
    .map(Math.fround);
  const max = Math.max(...sigmas);
  return {
    sigmas,
    timesteps: timesteps.map(Math.fround),
    // Leading timesteps miss the noisiest one: latents there hold some of the image's variance as well.
    initNoiseSigma: config.timestep_spacing === 'leading' ? Math.sqrt(max * max + 1) : max,
    logSigmas,
  };
}

/** Variance of a step back from cumulative alpha `from` to `to`. Source: Ho et al. 2020, equation 7. */
export function posteriorVariance(from: number, to: number): number {
  return ((1 - to) / (1 - from)) * (1 - from / to);
}

/** Noise to signal at cumulative alphas. */
export function noiseRatios(alphas: readonly number[]): number[] {
  return alphas.map((alpha) => Math.sqrt((1 - alpha) / alpha));
}
