import type { Register, SamplerProgram, Term } from '#engine/samplers/program.ts';
import { choice, flag, sigmaCurves, spacing, thresholding, training } from './config.ts';
import { evaluate, noiseOfClean } from './dpm-solver.ts';
import { CLEAN, cleanTerms, limit, NO_LEVEL } from './prediction.ts';
import { defineScheduler } from './scheduler.ts';
import { flowSigmas, solverOrder, spaceSolverSteps } from './solver-steps.ts';

/**
 * Exponential integrator that extrapolates the noise as a polynomial in log ρ, where ρ is noise to signal.
 * Source: Zhang & Chen 2022, "Fast Sampling of Diffusion Models with Exponential Integrator", the ρAB methods of
 * the log kind; diffusers' DEISMultistepScheduler.
 */
export const deisMultistep = defineScheduler(
  {
    ...training('linear', 'scaled_linear', 'squaredcos_cap_v2'),
    ...spacing,
    ...sigmaCurves,
    ...thresholding,
    ...flowSigmas,
    solver_order: solverOrder,
    prediction_type: choice('epsilon', 'sample', 'v_prediction', 'flow_prediction'),
    // Names of other solvers stand for this one's, as in diffusers.
    algorithm_type: choice('deis', 'dpmsolver', 'dpmsolver++'),
    solver_type: choice('logrho', 'midpoint', 'heun', 'bh1', 'bh2'),
    lower_order_final: flag(true),
  },
  (config, steps, options) => {
    const order = config.solver_order;
    const { sigmas, timesteps, levels } = spaceSolverSteps(
      { ...config, final_sigmas_type: 'sigma_min' },
      steps,
      options,
      { curveKeepsItsEnd: true },
    );
    const few = config.lower_order_final && steps < 15;
    const registerOf = (i: number): Register => `noise${i % order}`;
    const rhos = levels.map(({ alpha, sigma }) => sigma / alpha);

    function* sample(index: number): SamplerProgram {
      for (const [i, timestep] of timesteps.entries()) {
        if (i < index) continue;
        const level = levels[i] ?? NO_LEVEL;
        const next = levels[i + 1] ?? NO_LEVEL;
        yield evaluate(timestep);
        yield { op: 'combine', to: CLEAN, terms: cleanTerms(config.prediction_type, level, 'x') };
        yield* limit(CLEAN, config);
        yield { op: 'combine', to: registerOf(i), terms: noiseOfClean(level) };
        const left = steps - i;
        const used = Math.min(order, i - index + 1, few ? left : order);
        const past = Array.from({ length: used }, (_, k) => i - k);
        const weights = logRhoWeights(
          rhos[i + 1] ?? NaN,
          past.map((k) => rhos[k] ?? NaN),
        );
        const terms: Term[] = past.map((k, j) => [next.alpha * (weights[j] ?? NaN), registerOf(k)]);
        yield { op: 'combine', to: 'x', terms: [[next.alpha / level.alpha, 'x'], ...terms] };
        yield { op: 'show', register: CLEAN, step: i - index + 1 };
      }
    }

    return { initNoiseSigma: 1, sigmas, levelAt: (index) => levels[index] ?? NO_LEVEL, steps, sample };
  },
);

/**
 * Integrals from `rhos[0]` to `to` of the polynomials in log ρ that are 1 at one of `rhos` and 0 at the others.
 * @param rhos one to three, newest first
 */
function logRhoWeights(to: number, rhos: readonly number[]): number[] {
  const [from = NaN] = rhos;
  return rhos.map((own, i) => {
    const others = rhos.filter((_, k) => k !== i).map(Math.log);
    const scale = others.reduce((product, other) => product * (Math.log(own) - other), 1);
    return (antiderivative(to, others) - antiderivative(from, others)) / scale;
  });
}

/** Antiderivative in ρ of Π (log ρ − root), for up to two roots. */
function antiderivative(rho: number, roots: readonly number[]): number {
  const log = Math.log(rho);
  const [a, b] = roots;
  if (a === undefined) return rho;
  if (b === undefined) return rho * (log - 1 - a);
  return rho * (log * log - 2 * log + 2 - (a + b) * (log - 1) + a * b);
}
