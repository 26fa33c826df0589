import * as v from 'valibot';
import { linspace } from '#engine/samplers/noise-schedule.ts';
import type { Register, SamplerProgram, Term } from '#engine/samplers/program.ts';
import { AppError } from '#protocol/error.ts';
import { choice, flag, maybeNumber, sigmaCurves, spacing, thresholding, training } from './config.ts';
import { estimateForSolver, evaluate } from './dpm-solver.ts';
import { CLEAN, NO_LEVEL, type NoiseLevel } from './prediction.ts';
import { defineScheduler } from './scheduler.ts';
import { flowSigmas, halfLogSnr, shiftSigma, spaceSolverSteps, stretchToTerminal } from './solver-steps.ts';

/**
 * Predictor and corrector of any order from the same estimates: the corrector needs no evaluation of its own.
 * Source: Zhao et al. 2023, "UniPC: A Unified Predictor-Corrector Framework", algorithms 1 to 4; diffusers'
 * UniPCMultistepScheduler.
 */
export const uniPcMultistep = defineScheduler(
  {
    ...training('linear', 'scaled_linear', 'squaredcos_cap_v2'),
    ...spacing,
    ...sigmaCurves,
    ...thresholding,
    ...flowSigmas,
    solver_order: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 2),
    prediction_type: choice('epsilon', 'sample', 'v_prediction', 'flow_prediction'),
    predict_x0: flag(true),
    // Names of other solvers stand for bh2, as in diffusers.
    solver_type: choice('bh2', 'bh1', 'midpoint', 'heun', 'logrho'),
    lower_order_final: flag(true),
    disable_corrector: v.optional(v.array(v.pipe(v.number(), v.integer())), []),
    final_sigmas_type: choice('zero', 'sigma_min'),
    rescale_betas_zero_snr: flag(false),
    sigma_min: maybeNumber,
    sigma_max: maybeNumber,
    shift_terminal: maybeNumber,
  },
  (config, steps, options) => {
    const { solver_order: order, predict_x0: predictClean } = config;
    if (!predictClean && config.prediction_type === 'flow_prediction') {
      throw new AppError('unsupported_feature', 'UniPC runs flow-matching models only with predict_x0.');
    }
    const { sigmas, timesteps, levels } = spaceSolverSteps(config, steps, options, {
      curveKeepsItsEnd: true,
      karrasFlow: true,
      flowSigmas: (count, shift) => {
        const flow = linspace(1, 1 / config.num_train_timesteps, count + 1).slice(0, -1);
        const shifted = flow.map((sigma) => shiftSigma(sigma, shift));
        const stretched = config.shift_terminal ? stretchToTerminal(shifted, config.shift_terminal) : shifted;
        // At a sigma of 1 the log-SNR has no value.
        return stretched.map((sigma) => (Math.abs(sigma - 1) < 1e-6 ? sigma - 1e-6 : sigma));
      },
    });
    const form = { predictClean, bh1: config.solver_type === 'bh1' };
    // The corrector needs one estimate more than the predictor.
    const registerOf = (i: number): Register => `estimate${i % (order + 1)}`;
    const pointAt = (i: number) => ({ level: levels[i] ?? NO_LEVEL, register: registerOf(i) });

    function* sample(index: number): SamplerProgram {
      let used = 0;
      for (const [i, timestep] of timesteps.entries()) {
        if (i < index) continue;
        const algorithm = predictClean ? 'dpmsolver++' : 'dpmsolver';
        yield evaluate(timestep);
        yield* estimateForSolver(
          algorithm,
          config.prediction_type,
          levels[i] ?? NO_LEVEL,
          predictClean ? config : {},
          registerOf(i),
        );
        if (i > index && !config.disable_corrector.includes(i - 1)) {
          const past = Array.from({ length: used }, (_, k) => pointAt(i - 1 - k));
          yield { op: 'combine', to: 'x', terms: uniTerms(form, 'last', past, pointAt(i)) };
        }
        yield { op: 'combine', to: 'last', terms: [[1, 'x']] };
        used = Math.min(order, i - index + 1, config.lower_order_final ? steps - i : order);
        const past = Array.from({ length: used }, (_, k) => pointAt(i - k));
        yield {
          op: 'combine',
          to: 'x',
          terms: uniTerms(form, 'x', past, { level: levels[i + 1] ?? NO_LEVEL }),
        };
        yield { op: 'show', register: CLEAN, step: i - index + 1 };
      }
    }

    return { initNoiseSigma: 1, sigmas, levelAt: (index) => levels[index] ?? NO_LEVEL, steps, sample };
  },
);

/** A noise level, and the estimate made there if there is one. */
interface Point {
  level: NoiseLevel;
  register?: Register;
}

/**
 * One update from the newest of `past` (newest first) to `target`: the corrector if the target has an estimate.
 * @param from register of the latents at the newest past level
 */
function uniTerms(
  form: { predictClean: boolean; bh1: boolean },
  from: Register,
  past: readonly Point[],
  target: Point,
): Term[] {
  const [newest] = past;
  const origin = newest?.level ?? NO_LEVEL;
  const h = halfLogSnr(target.level) - halfLogSnr(origin);
  const hh = form.predictClean ? -h : h;
  const growth = Math.expm1(hh);
  const scale = form.predictClean ? target.level.alpha : target.level.sigma;
  const latents = form.predictClean ? target.level.sigma / origin.sigma : target.level.alpha / origin.alpha;

  const differences = past.slice(1).map((point) => ({
    register: point.register ?? '',
    ratio: (halfLogSnr(point.level) - halfLogSnr(origin)) / h,
  }));
  if (target.register !== undefined) differences.push({ register: target.register, ratio: 1 });
  const ratios = differences.map(({ ratio }) => ratio);
  const weights = uniWeights(ratios, hh, form.bh1 ? hh : growth);

  const terms: Term[] = [[latents, from]];
  let own = -scale * growth;
  for (const [k, { register, ratio }] of differences.entries()) {
    const weight = (-scale * (form.bh1 ? hh : growth) * (weights[k] ?? NaN)) / ratio;
    terms.push([weight, register]);
    own -= weight;
  }
  terms.push([own, newest?.register ?? '']);
  return terms;
}

/** Weights ρ of the finite differences, which meet the order conditions R ρ = b (Zhao et al. 2023, equation 8). */
function uniWeights(ratios: readonly number[], hh: number, scale: number): number[] {
  // A single weight is set, not solved for, as in the authors' code.
  if (ratios.length === 1) return [0.5];
  const rows = ratios.map((_, power) => ratios.map((ratio) => ratio ** power));
  return solve(rows, conditions(ratios.length, hh, scale));
}

/** Right-hand sides b₁ … bₙ: n! φₙ₊₁(hh) hh / scale … in the recursion of the authors' code. */
function conditions(count: number, hh: number, scale: number): number[] {
  let phi = Math.expm1(hh) / hh - 1;
  let factorial = 1;
  return Array.from({ length: count }, (_, i) => {
    const value = (phi * factorial) / scale;
    factorial *= i + 2;
    phi = phi / hh - 1 / factorial;
    return value;
  });
}

/** Solves a small linear system by Gaussian elimination with partial pivoting. */
function solve(rows: readonly (readonly number[])[], values: readonly number[]): number[] {
  const n = values.length;
  const system = rows.map((row, i) => [...row, values[i] ?? NaN]);
  const at = (row: number, column: number) => system[row]?.[column] ?? NaN;
  for (let column = 0; column < n; column++) {
    let pivot = column;
    for (let row = column + 1; row < n; row++) {
      if (Math.abs(at(row, column)) > Math.abs(at(pivot, column))) pivot = row;
    }
    const lead = system[pivot] ?? [];
    system[pivot] = system[column] ?? [];
    system[column] = lead;
    for (let row = 0; row < n; row++) {
      if (row === column) continue;
      const factor = at(row, column) / (lead[column] ?? NaN);
      system[row] = (system[row] ?? []).map((value, k) => value - factor * (lead[k] ?? NaN));
    }
  }
  return values.map((_, i) => at(i, n) / at(i, i));
}
