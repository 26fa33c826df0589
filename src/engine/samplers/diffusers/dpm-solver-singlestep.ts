import type { Register, SamplerProgram, Term } from '#engine/samplers/program.ts';
import { choice, flag } from './config.ts';
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
 * DPM-Solver and DPM-Solver++ of orders 1 to 3 in blocks: each block starts afresh, and each of its evaluations
 * replaces the end of the one before by one of higher order.
 * Source: Lu et al. 2022; diffusers' DPMSolverSinglestepScheduler.
 */
export const dpmSolverSinglestep = defineScheduler(
  {
    ...dpmSolver,
    algorithm_type: choice('dpmsolver++', 'dpmsolver', 'sde-dpmsolver++', 'deis'),
    lower_order_final: flag(false),
  },
  (config, steps, options) => {
    const { solver_order: order, prediction_type: prediction } = config;
    const algorithm = config.algorithm_type === 'deis' ? 'dpmsolver++' : config.algorithm_type;
    const heun = config.solver_type === 'heun';
    refuseImpossible(algorithm, config);
    const spacing = { timestep_spacing: 'linspace', steps_offset: 0 } as const;
    const { sigmas, timesteps, levels } = spaceSolverSteps({ ...config, ...spacing }, steps, options);
    const lambdas = levels.map(halfLogSnr);
    const registerOf = (i: number): Register => `estimate${i % order}`;
    const endsAtZero = config.final_sigmas_type === 'zero';
    const orders = blockOrders(steps, order, config.lower_order_final || endsAtZero || steps % order !== 0);
    if (endsAtZero) orders[steps - 1] = 1;

    function* sample(index: number): SamplerProgram {
      for (const [i, timestep] of timesteps.entries()) {
        if (i < index) continue;
        yield evaluate(timestep);
        yield* estimateForSolver(algorithm, prediction, levels[i] ?? NO_LEVEL, config, registerOf(i));
        const used = Math.min(orders[i] ?? 1, i - index + 1);
        if (used === 1) yield { op: 'combine', to: 'start', terms: [[1, 'x']] };
        const first = i - used + 1;
        const weights = dpmWeights(algorithm, levels[first] ?? NO_LEVEL, levels[i + 1] ?? NO_LEVEL);
        const block = Array.from({ length: used }, (_, k) => first + k);
        const terms = singlestepTerms(
          weights,
          block.map((k) => lambdas[k] ?? NaN),
          block.map(registerOf),
          heun,
        );
        yield* updateLatents('start', weights, terms);
        yield { op: 'show', register: CLEAN, step: i - index + 1 };
      }
    }

    return { initNoiseSigma: 1, sigmas, levelAt: (index) => levels[index] ?? NO_LEVEL, steps, sample };
  },
);

/** Orders of the evaluations: blocks of 1, 2, … `order`; with `lowerFinal` the very last is 1. */
function blockOrders(steps: number, order: number, lowerFinal: boolean): number[] {
  const orders = Array.from({ length: steps }, (_, i) => (i % order) + 1);
  if (lowerFinal && steps % order === 0) orders[steps - 1] = 1;
  return orders;
}

/** Weights of a block's estimates, oldest first: the derivatives in λ are finite differences from its start. */
function singlestepTerms(
  weights: DpmWeights,
  lambdas: readonly number[],
  registers: readonly Register[],
  heun: boolean,
): Term[] {
  const [l0 = NaN, l1 = NaN, l2 = NaN] = lambdas;
  const [m0 = '', m1 = '', m2 = ''] = registers;
  const r1 = (l1 - l0) / weights.h;
  const r2 = (l2 - l0) / weights.h;
  switch (registers.length) {
    case 1:
      return [[weights.estimate, m0]];
    case 2: {
      const slope = (heun ? weights.slope : weights.midpointSlope) / r1;
      return [
        [weights.estimate - slope, m0],
        [slope, m1],
      ];
    }
    default: {
      // Heun: the parabola through all three estimates. Midpoint: the line through the first and the last.
      const apart = r2 - r1;
      const near = heun ? (weights.slope * r2 - 2 * weights.curvature) / (apart * r1) : 0;
      const far = heun ? (2 * weights.curvature - weights.slope * r1) / (apart * r2) : weights.slope / r2;
      return [
        [weights.estimate - near - far, m0],
        [near, m1],
        [far, m2],
      ];
    }
  }
}
