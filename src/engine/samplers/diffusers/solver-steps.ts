import * as v from 'valibot';
import {
  interpolate,
  linspace,
  roundHalfEven,
  sigmasOf,
  timestepOfSigma,
} from '#engine/samplers/noise-schedule.ts';
import { AppError } from '#protocol/error.ts';
import { choice, flag, number, positiveAlphasOf, type TrainingConfig } from './config.ts';
import { flowLevel, levelOfRatio, type NoiseLevel } from './prediction.ts';
import type { DiffusersRunOptions } from './scheduler.ts';
import { curveSigmas, spaceSolverTimesteps, type SigmaCurveConfig, type SpacingConfig } from './timesteps.ts';

/** Entries of the solvers that can also run flow-matching models. */
export const flowSigmas = {
  use_flow_sigmas: flag(false),
  flow_shift: number(1),
  use_dynamic_shifting: flag(false),
  time_shift_type: choice('exponential'),
};

/** The range of orders that a solver has. */
export const solverOrder = v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(3)), 2);

export interface SolverConfig extends TrainingConfig, SpacingConfig, SigmaCurveConfig {
  /** Even steps in log-SNR, as Lu et al. 2022 recommend. */
  use_lu_lambdas?: boolean;
  use_flow_sigmas: boolean;
  flow_shift: number;
  use_dynamic_shifting: boolean;
  lambda_min_clipped?: number;
  final_sigmas_type: 'zero' | 'sigma_min';
}

/** How the solvers of this family differ when they choose their steps. */
export interface SolverTraits {
  /** A cosine schedule keeps Karras' timesteps unrounded. */
  cosineKeepsFractions?: boolean;
  /** A curve's `sigma_min` end is the curve's own lowest sigma, not the model's. */
  curveKeepsItsEnd?: boolean;
  /** Sigmas of flow matching, before the final one. */
  flowSigmas?(steps: number, shift: number): number[];
  /** Karras' sigmas may be turned into flow matching's. */
  karrasFlow?: boolean;
}

/** Steps of the solvers that work in log-SNR on latents of variance 1. */
export interface SolverSteps {
  /** Noise to signal (flow matching: share of noise), one per step, then the final one. */
  sigmas: number[];
  /** Whole numbers, one per step. */
  timesteps: number[];
  levels: NoiseLevel[];
}

/** Chooses the steps of a run, as `set_timesteps` of diffusers' DPM-Solver, DEIS and UniPC do. */
export function spaceSolverSteps(
  config: SolverConfig,
  steps: number,
  options: DiffusersRunOptions,
  traits: SolverTraits = {},
): SolverSteps {
  const train = config.num_train_timesteps;
  const table = sigmasOf(positiveAlphasOf(config));
  const logSigmas = table.map(Math.log);
  const range = { min: table[0] ?? NaN, max: table.at(-1) ?? NaN };

  let final = config.final_sigmas_type === 'zero' ? 0 : range.min;
  let curve = curveSigmas(config, steps, range);
  if (config.use_lu_lambdas)
    curve ??= linspace(logSigmas.at(-1) ?? NaN, logSigmas[0] ?? NaN, steps).map(Math.exp);
  let sigmas: number[];
  let timesteps: number[];
  if (config.use_flow_sigmas && (!curve || (config.use_karras_sigmas && traits.karrasFlow))) {
    const shift = config.use_dynamic_shifting ? Math.exp(timeShift({}, options)) : config.flow_shift;
    sigmas = curve
      ? curve.map((sigma) => sigma / (sigma + 1))
      : (traits.flowSigmas ?? plainFlowSigmas(train))(steps, shift);
    timesteps = sigmas.map((sigma) => sigma * train);
    if (config.final_sigmas_type === 'sigma_min' && traits.curveKeepsItsEnd) final = sigmas.at(-1) ?? NaN;
  } else if (curve) {
    if (config.use_flow_sigmas) {
      throw new AppError(
        'invalid_request',
        'use_flow_sigmas cannot be used with Karras, exponential, beta or Lu sigmas.',
      );
    }
    sigmas = curve;
    timesteps = curve.map((sigma) => timestepOfSigma(sigma, logSigmas));
    const cosine = traits.cosineKeepsFractions && config.beta_schedule === 'squaredcos_cap_v2';
    if ((config.use_karras_sigmas || config.use_lu_lambdas) && !cosine)
      timesteps = timesteps.map(roundHalfEven);
    if (config.final_sigmas_type === 'sigma_min' && traits.curveKeepsItsEnd) final = sigmas.at(-1) ?? NaN;
  } else {
    const clipped = logSigmas.reduce(
      (n, log) => (-log < (config.lambda_min_clipped ?? -Infinity) ? n + 1 : n),
      0,
    );
    timesteps = spaceSolverTimesteps(config, steps, train - clipped);
    sigmas = timesteps.map((timestep) => interpolate(table, timestep));
  }
  sigmas = [...sigmas, final].map(Math.fround);
  return {
    sigmas,
    timesteps: timesteps.map(Math.trunc),
    levels: sigmas.map(config.use_flow_sigmas ? flowLevel : levelOfRatio),
  };
}

function plainFlowSigmas(train: number): (steps: number, shift: number) => number[] {
  return (steps, shift) =>
    linspace(1, 1 / train, steps + 1)
      .map((alpha) => shiftSigma(1 - alpha, shift))
      .reverse()
      .slice(0, -1);
}

/** Moves flow matching's sigmas toward noise. Source: Esser et al. 2024, equation 23. */
export function shiftSigma(sigma: number, shift: number): number {
  return (shift * sigma) / (1 + (shift - 1) * sigma);
}

/** Stretches falling sigmas so that the last one is `terminal`. Source: LTX-Video's schedule. */
export function stretchToTerminal(sigmas: readonly number[], terminal: number): number[] {
  const factor = (1 - (sigmas.at(-1) ?? NaN)) / (1 - terminal);
  return sigmas.map((sigma) => 1 - (1 - sigma) / factor);
}

/** How the shift follows the size of the image. */
export interface DynamicShiftConfig {
  base_shift?: number;
  max_shift?: number;
  base_image_seq_len?: number;
  max_image_seq_len?: number;
}

/**
 * Logarithm of the shift for an image's size. Source: `calculate_shift` of diffusers' Flux pipeline.
 * @throws AppError `invalid_request` where the size is not given
 */
export function timeShift(config: DynamicShiftConfig, { imageTokens }: DiffusersRunOptions): number {
  if (imageTokens === undefined) {
    throw new AppError('invalid_request', "Dynamic shifting needs the number of the image's latent patches.");
  }
  const { base_shift = 0.5, max_shift = 1.15, base_image_seq_len = 256, max_image_seq_len = 4096 } = config;
  const slope = (max_shift - base_shift) / (max_image_seq_len - base_image_seq_len);
  return base_shift + slope * (imageTokens - base_image_seq_len);
}

/** Half the logarithm of the signal-to-noise ratio: λ of Lu et al. 2022. */
export function halfLogSnr({ alpha, sigma }: NoiseLevel): number {
  return Math.log(alpha) - Math.log(sigma);
}
