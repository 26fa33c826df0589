import type { Register, SamplerProgram, Term } from '#engine/samplers/program.ts';
import { AppError } from '#protocol/error.ts';
import { choice, flag, spacing } from './config.ts';
import {
  dpmSolver,
  dpmWeights,
  estimateForSolver,
  evaluate,
  refuseImpossible,
  updateLatents,
  type DpmWeights,
} from './dpm-solver.ts';
import { CLEAN, NO_LEVEL } from './prediction.ts';
import { defineScheduler } from './scheduler.ts';
import { halfLogSnr, spaceSolverSteps } from './solver-steps.ts';

/**
 * DPM-Solver and DPM-Solver++ of orders 1 to 3 with the estimates of past steps, as ODE or SDE.
 * Source: Lu et al. 2022; diffusers' DPMSolverMultistepScheduler.
 */
export const dpmSolverMultistep = defineScheduler(
  {
    ...dpmSolver,
    ...spacing,
    algorithm_type: choice('dpmsolver++', 'dpmsolver', 'sde-dpmsolver', 'sde-dpmsolver++', 'deis'),
    lower_order_final: flag(true),
    euler_at_final: flag(false),
    use_lu_lambdas: flag(false),
    rescale_betas_zero_snr: flag(false),
  },
  (config, steps, options) => {
    const { solver_order: order, prediction_type: prediction } = config;
    // Names of other solvers stand for the nearest one here, as in diffusers.
    const algorithm = config.algorithm_type === 'deis' ? 'dpmsolver++' : config.algorithm_type;
    const heun = config.solver_type === 'heun';
    refuseImpossible(algorithm, config);
    if (order === 3 && algorithm === 'sde-dpmsolver') {
      throw new AppError('invalid_request', 'sde-dpmsolver has no third order: use solver_order 1 or 2.');
    }
    const { sigmas, timesteps, levels } = spaceSolverSteps(config, steps, options, {
      cosineKeepsFractions: true,
    });
    const lambdas = levels.map(halfLogSnr);
    const registerOf = (i: number) => `estimate${i % order}`;
    const last = timesteps.length - 1;
    const few = config.lower_order_final && timesteps.length < 15;
    const firstOrderLast = config.euler_at_final || few || config.final_sigmas_type === 'zero';

    function* sample(index: number): SamplerProgram {
      for (const [i, timestep] of timesteps.entries()) {
        if (i < index) continue;
        const level = levels[i] ?? NO_LEVEL;
        yield evaluate(timestep);
        yield* estimateForSolver(algorithm, prediction, level, config, registerOf(i));
        let used = Math.min(order, i - index + 1);
        if (i === last - 1 && few) used = Math.min(used, 2);
        if (i === last && firstOrderLast) used = 1;
        const weights = dpmWeights(algorithm, level, levels[i + 1] ?? NO_LEVEL);
        const past = Array.from({ length: used }, (_, k) => i - k);
        const terms = multistepTerms(
          weights,
          past.map((k) => lambdas[k] ?? NaN),
          past.map(registerOf),
          heun,
        );
        yield* updateLatents('x', weights, terms);
        yield { op: 'show', register: CLEAN, step: i - index + 1 };
      }
    }

    return { initNoiseSigma: 1, sigmas, levelAt: (index) => levels[index] ?? NO_LEVEL, steps, sample };
  },
);

/**
 * Weights of the estimates, newest first, in an update of order `used`: the derivatives in λ are finite
 * differences between them.
 */
function multistepTerms(
  weights: DpmWeights,
  lambdas: readonly number[],
  registers: readonly Register[],
  heun: boolean,
): Term[] {
  const [l0 = NaN, l1 = NaN, l2 = NaN] = lambdas;
  const [m0 = '', m1 = '', m2 = ''] = registers;
  const r0 = (l0 - l1) / weights.h;
  const r1 = (l1 - l2) / weights.h;
  switch (registers.length) {
    case 1:
      return [[weights.estimate, m0]];
    case 2: {
      const slope = (heun ? weights.slope : weights.midpointSlope) / r0;
      return [
        [weights.estimate + slope, m0],
        [-slope, m1],
      ];
    }
    default: {
      // Slope at the newest estimate and curvature, from the slopes of the last two intervals.
      const newer = (weights.slope * (1 + r0 / (r0 + r1)) + weights.curvature / (r0 + r1)) / r0;
      const older = -(weights.slope * r0 + weights.curvature) / (r0 + r1) / r1;
      return [
        [weights.estimate + newer, m0],
        [older - newer, m1],
        [-older, m2],
      ];
    }
  }
}
