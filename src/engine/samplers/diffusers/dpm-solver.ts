import type { Instruction, Register, Term } from '#engine/samplers/program.ts';
import { AppError } from '#protocol/error.ts';
import {
  CLEAN,
  cleanTerms,
  limit,
  noiseTerms,
  OUTPUT,
  type Limits,
  type NoiseLevel,
  type PredictionType,
} from './prediction.ts';
import * as v from 'valibot';
import { choice, sigmaCurves, thresholding, training } from './config.ts';
import { flowSigmas, halfLogSnr, solverOrder } from './solver-steps.ts';

/** Entries that the multistep and the singlestep solver have in common. */
export const dpmSolver = {
  ...training('linear', 'scaled_linear', 'squaredcos_cap_v2'),
  ...sigmaCurves,
  ...thresholding,
  ...flowSigmas,
  solver_order: solverOrder,
  prediction_type: choice('epsilon', 'sample', 'v_prediction', 'flow_prediction'),
  solver_type: choice('midpoint', 'heun', 'logrho', 'bh1', 'bh2'),
  final_sigmas_type: choice('zero', 'sigma_min'),
  lambda_min_clipped: v.optional(v.number(), -Infinity),
  variance_type: v.optional(v.picklist(['learned', 'learned_range'])),
};

export type DpmAlgorithm = 'dpmsolver' | 'dpmsolver++' | 'sde-dpmsolver' | 'sde-dpmsolver++';

/** Weights of one update of a DPM-Solver: of the latents, of the estimate and of its derivatives in λ. */
export interface DpmWeights {
  /** λ gained. */
  h: number;
  latents: number;
  estimate: number;
  /** Of the first derivative, as a finite difference over `h`: exact, or the midpoint rule's. */
  slope: number;
  midpointSlope: number;
  /** Of the second derivative. */
  curvature: number;
  /** Of fresh noise; 0 in the ODE solvers. */
  noise: number;
}

/**
 * The exponential integrator behind all DPM-Solvers, from one noise level to another. Solvers with `++` go by
 * estimates of the clean latents, the others by estimates of the noise.
 * Source: Lu et al. 2022, "DPM-Solver", equations 3.7 to B.7, and "DPM-Solver++", sections 4 and 5.
 */
export function dpmWeights(algorithm: DpmAlgorithm, from: NoiseLevel, to: NoiseLevel): DpmWeights {
  const h = halfLogSnr(to) - halfLogSnr(from);
  switch (algorithm) {
    case 'dpmsolver++': {
      const decay = Math.expm1(-h);
      return {
        h,
        latents: to.sigma / from.sigma,
        estimate: -to.alpha * decay,
        slope: to.alpha * (decay / h + 1),
        midpointSlope: -0.5 * to.alpha * decay,
        curvature: -to.alpha * ((decay + h) / h ** 2 - 0.5),
        noise: 0,
      };
    }
    case 'sde-dpmsolver++': {
      const decay = Math.expm1(-2 * h);
      return {
        h,
        latents: (to.sigma / from.sigma) * Math.exp(-h),
        estimate: -to.alpha * decay,
        slope: to.alpha * (decay / (2 * h) + 1),
        midpointSlope: -0.5 * to.alpha * decay,
        curvature: to.alpha * (-(decay + 2 * h) / (2 * h) ** 2 - 0.5),
        noise: to.sigma * Math.sqrt(-decay),
      };
    }
    case 'dpmsolver':
    case 'sde-dpmsolver': {
      const growth = Math.expm1(h);
      const sde = algorithm === 'sde-dpmsolver';
      const scale = -to.sigma * (sde ? 2 : 1);
      return {
        h,
        latents: to.alpha / from.alpha,
        estimate: scale * growth,
        slope: scale * (growth / h - 1),
        midpointSlope: 0.5 * scale * growth,
        curvature: scale * ((growth - h) / h ** 2 - 0.5),
        noise: sde ? to.sigma * Math.sqrt(Math.expm1(2 * h)) : 0,
      };
    }
  }
}

/**
 * Turns the network's output for the latents in `x` into what the algorithm goes by, in `to`; `x0` is left with
 * the estimate of the clean latents.
 */
export function* estimateForSolver(
  algorithm: DpmAlgorithm,
  prediction: PredictionType,
  level: NoiseLevel,
  config: Limits,
  to: Register,
): Generator<Instruction, void, number | undefined> {
  yield { op: 'combine', to: CLEAN, terms: cleanTerms(prediction, level, 'x') };
  yield* limit(CLEAN, config);
  if (algorithm.endsWith('++')) {
    yield { op: 'combine', to, terms: [[1, CLEAN]] };
  } else if (config.thresholding) {
    yield { op: 'combine', to, terms: noiseOfClean(level) };
  } else {
    yield { op: 'combine', to, terms: noiseTerms(prediction, level, 'x') };
  }
}

/** The noise in the latents of `x` if `x0` are the clean ones. */
export function noiseOfClean({ alpha, sigma }: NoiseLevel): Term[] {
  return [
    [1 / sigma, 'x'],
    [-alpha / sigma, CLEAN],
  ];
}

/** `x = latents · from + Σ weights`, with fresh noise where the algorithm wants it. */
export function* updateLatents(
  from: Register,
  weights: DpmWeights,
  estimates: readonly Term[],
): Generator<Instruction, void, number | undefined> {
  const terms: Term[] = [[weights.latents, from], ...estimates];
  if (weights.noise > 0) {
    yield { op: 'noise', to: 'fresh' };
    terms.push([weights.noise, 'fresh']);
  }
  yield { op: 'combine', to: 'x', terms };
}

/** The network's run that each step of these solvers begins with. */
export function evaluate(timestep: number): Instruction {
  return { op: 'denoise', from: 'x', to: OUTPUT, timestep, inputScale: 1 };
}

/** @throws AppError for configurations whose formulas do not exist */
export function refuseImpossible(
  algorithm: DpmAlgorithm,
  config: { prediction_type: PredictionType; final_sigmas_type: string; variance_type?: string | undefined },
): void {
  if (config.variance_type !== undefined) {
    throw new AppError('unsupported_feature', 'Models that also predict their variance are not supported.');
  }
  if (algorithm.endsWith('++')) return;
  if (config.final_sigmas_type === 'zero') {
    throw new AppError(
      'invalid_request',
      `${algorithm} cannot end at zero noise: use final_sigmas_type sigma_min.`,
    );
  }
  if (config.prediction_type === 'flow_prediction') {
    throw new AppError(
      'unsupported_feature',
      `${algorithm} cannot run flow-matching models: use ${algorithm}++.`,
    );
  }
}
