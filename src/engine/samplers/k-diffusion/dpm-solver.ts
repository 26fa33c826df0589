import type { Register, SamplerProgram } from '#engine/samplers/program.ts';
import { ancestralTarget, combine, denoise, derivative, renoise, show } from './run.ts';
import type { SamplerRun } from './run.ts';

/*
 * DPM-Solver: steps h of λ = −log sigma in which the predicted noise is a polynomial.
 * Source: Lu et al. 2022 (arXiv 2206.00927); k-diffusion sampling.py, class DPMSolver.
 */

/** DPM-Solver-fast: steps of orders 3, 2 and 1 that add up to the requested evaluations. `sample_dpm_fast`. */
export function* dpmFast(run: SamplerRun): SamplerProgram {
  const { eta = 1 } = run.options;
  const { from: sigmaMax, to: sigmaMin, evaluations } = run.range;
  const orders = fastOrders(evaluations);
  const sigmaAt = (i: number) => sigmaMax * (sigmaMin / sigmaMax) ** (i / (Math.floor(evaluations / 3) + 1));
  for (const [i, order] of orders.entries()) {
    const from = sigmaAt(i);
    const to = sigmaAt(i + 1);
    const down = eta > 0 ? Math.max(sigmaMin, ancestralTarget(run, from, to, eta)) : to;
    yield* predictNoise(run, 'epsilon', 'x', from);
    yield combine('shown', [1, 'x'], [-from, 'epsilon']);
    if (order === 1) yield step1('x', from, down);
    else if (order === 2) yield* step2(run, 'x', from, down);
    else yield* step3(run, 'x', from, down);
    if (eta > 0) yield* renoise(run, 'x', down, to);
    yield show('shown', i + 1);
  }
}

/** Orders of the steps: as many threes as fit, and the rest. */
function fastOrders(evaluations: number): number[] {
  const threes = Math.floor(evaluations / 3);
  const rest = evaluations % 3;
  if (rest === 0) return [...Array<number>(threes - 1).fill(3), 2, 1];
  return [...Array<number>(threes).fill(3), rest];
}

const FIRST_STEP = 0.05;
const TOLERANCE = { absolute: 0.0078, relative: 0.05 };
const ACCEPT_ABOVE = 0.81;

/** DPM-Solver-23: steps as long as orders 2 and 3 agree. `sample_dpm_adaptive` with k-diffusion's tolerances. */
export function* dpmAdaptive(run: SamplerRun): SamplerProgram {
  const { eta = 1 } = run.options;
  const end = -Math.log(run.range.to);
  let at = -Math.log(run.range.from);
  let h = FIRST_STEP;
  let step = 0;
  yield combine('previous', [1, 'x']);
  while (at < end - 1e-5) {
    const from = Math.exp(-at);
    const next = Math.min(end, at + h);
    const to = Math.exp(-next);
    const down = eta > 0 ? Math.max(run.range.to, ancestralTarget(run, from, to, eta)) : to;
    yield* predictNoise(run, 'epsilon', 'x', from);
    yield combine('shown', [1, 'x'], [-from, 'epsilon']);
    yield* step3(run, 'high', from, down);
    yield secondOrder('low', from, down, 1 / 3);
    yield combine('error', [1, 'low'], [-1, 'high']);
    const error =
      (yield { op: 'norm', register: 'error', tolerance: { ...TOLERANCE, of: ['low', 'previous'] } }) ?? 0;
    // An integral controller whose answer is bent so that steps never grow or shrink too fast.
    const factor = 1 + Math.atan((error + 1e-8) ** (-1 / (eta > 0 ? 1.5 : 3)) - 1);
    h *= factor;
    if (factor < ACCEPT_ABOVE) continue;
    yield combine('previous', [1, 'low']);
    yield combine('x', [1, 'high']);
    if (eta > 0) yield* renoise(run, 'x', down, to);
    at = next;
    yield show('shown', ++step);
  }
}

function* predictNoise(run: SamplerRun, to: Register, x: Register, sigma: number): SamplerProgram {
  yield* denoise(run, x, 'denoised', sigma);
  yield derivative(to, x, 'denoised', sigma);
}

function step1(target: Register, from: number, to: number) {
  return combine(target, [1, 'x'], [to - from, 'epsilon']);
}

function* step2(run: SamplerRun, target: Register, from: number, to: number): SamplerProgram {
  const middle = Math.sqrt(from * to);
  yield step1('inner', from, middle);
  yield* predictNoise(run, 'epsilon inner', 'inner', middle);
  yield secondOrder(target, from, to, 1 / 2);
}

/** The second-order step from the noise at both ends of its first part, which is `r` of it. */
function secondOrder(target: Register, from: number, to: number, r: number) {
  const correction = (from - to) / (2 * r);
  return combine(target, [1, 'x'], [to - from + correction, 'epsilon'], [-correction, 'epsilon inner']);
}

function* step3(run: SamplerRun, target: Register, from: number, to: number): SamplerProgram {
  const h = Math.log(from / to);
  const first = from * Math.exp(-h / 3);
  const second = from * Math.exp((-2 * h) / 3);
  yield step1('inner', from, first);
  yield* predictNoise(run, 'epsilon inner', 'inner', first);
  const bend = second * 2 * (Math.expm1((2 * h) / 3) / ((2 * h) / 3) - 1);
  yield combine('outer', [1, 'x'], [second - from + bend, 'epsilon'], [-bend, 'epsilon inner']);
  yield* predictNoise(run, 'epsilon outer', 'outer', second);
  const correction = 1.5 * to * (Math.expm1(h) / h - 1);
  yield combine(target, [1, 'x'], [to - from + correction, 'epsilon'], [-correction, 'epsilon outer']);
}
