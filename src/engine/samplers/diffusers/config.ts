import * as v from 'valibot';
import {
  cumulativeAlphas,
  makeBetas,
  rescaleZeroTerminalSnr,
  type BetaSchedule,
} from '#engine/samplers/noise-schedule.ts';
import { AppError } from '#protocol/error.ts';
import type { NetworkTraining, SchedulerConfig } from './scheduler.ts';

/** Entries of diffusers' configurations that several schedulers share, with their most common defaults. */

export const flag = (fallback: boolean) => v.optional(v.boolean(), fallback);
export const number = (fallback: number) => v.optional(v.pipe(v.number(), v.finite()), fallback);
export const maybeNumber = v.optional(v.pipe(v.number(), v.finite()));
export const count = (fallback: number) =>
  v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), fallback);
export const choice = <const Options extends readonly [string, ...string[]]>(...options: Options) =>
  v.optional(v.picklist(options), options[0]);

/** The forward process. `schedules` are the curves that this scheduler knows; the first is its default. */
export function training<const Schedules extends readonly [BetaSchedule, ...BetaSchedule[]]>(
  ...schedules: Schedules
) {
  return {
    num_train_timesteps: count(1000),
    beta_start: number(0.0001),
    beta_end: number(0.02),
    beta_schedule: choice(...schedules),
    trained_betas: v.optional(v.array(v.pipe(v.number(), v.finite()))),
  };
}

/** The range of betas that some schedulers take from Stable Diffusion instead of DDPM. */
export const stableDiffusionBetas = { beta_start: number(0.00085), beta_end: number(0.012) };

export const spacing = {
  timestep_spacing: choice('linspace', 'leading', 'trailing'),
  steps_offset: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), 0),
};

/** {@link spacing} of the schedulers that lead by default. */
export const leadingSpacing = { ...spacing, timestep_spacing: choice('leading', 'linspace', 'trailing') };

export const sigmaCurves = {
  use_karras_sigmas: flag(false),
  use_exponential_sigmas: flag(false),
  use_beta_sigmas: flag(false),
};

export const thresholding = {
  thresholding: flag(false),
  dynamic_thresholding_ratio: number(0.995),
  sample_max_value: number(1),
};

export const clipping = (byDefault: boolean) => ({
  clip_sample: flag(byDefault),
  clip_sample_range: number(1),
});

/** What {@link training} entries come out as. */
export interface TrainingConfig {
  num_train_timesteps: number;
  beta_start: number;
  beta_end: number;
  beta_schedule: BetaSchedule;
  trained_betas?: number[] | undefined;
  rescale_betas_zero_snr?: boolean;
}

/** ᾱ of every training timestep. */
export function alphasOf(config: TrainingConfig): Float32Array {
  const betas = config.trained_betas
    ? Float32Array.from(config.trained_betas)
    : makeBetas({
        schedule: config.beta_schedule,
        start: config.beta_start,
        end: config.beta_end,
        steps: config.num_train_timesteps,
      });
  return cumulativeAlphas(config.rescale_betas_zero_snr ? rescaleZeroTerminalSnr(betas) : betas);
}

/** {@link alphasOf} for schedulers that divide by ᾱ: where it would be 0 they take 2^-24, as diffusers does. */
export function positiveAlphasOf(config: TrainingConfig): Float32Array {
  const alphas = alphasOf(config);
  if (config.rescale_betas_zero_snr) alphas[alphas.length - 1] = 2 ** -24;
  return alphas;
}

/** An entry of a table over the training timesteps. @throws AppError `invalid_request` beyond its ends */
export function entryAt(table: Float32Array, timestep: number): number {
  const value = table[timestep];
  if (value !== undefined) return value;
  throw new AppError(
    'invalid_request',
    `The schedule needs timestep ${timestep}, but the model was trained on 0 to ${table.length - 1}. Use fewer steps or another spacing.`,
  );
}

const networkTraining = v.object({
  ...training('linear', 'scaled_linear', 'squaredcos_cap_v2', 'laplace', 'exp', 'sigmoid'),
  prediction_type: choice('epsilon', 'v_prediction', 'sample'),
  rescale_betas_zero_snr: flag(false),
});

/** What a diffusion model's configuration says of its training. @throws AppError `unsupported_feature` */
export function readNetworkTraining(model: SchedulerConfig): NetworkTraining {
  const given = Object.fromEntries(Object.entries(model).filter(([, value]) => value !== null));
  const parsed = v.safeParse(networkTraining, given);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw new AppError(
      'unsupported_feature',
      `The model's scheduler configuration: ${v.getDotPath(issue) ?? ''}: ${issue.message}.`,
    );
  }
  return { prediction: parsed.output.prediction_type, alphas: positiveAlphasOf(parsed.output) };
}
