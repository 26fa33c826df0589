import { karrasSigmas } from '#engine/samplers/noise-schedule.ts';
import type { SamplerProgram } from '#engine/samplers/program.ts';
import { heunStep } from './heun.ts';
import { denoise, renoise, show, stepsOf } from './run.ts';
import type { SamplerRun } from './run.ts';

/**
 * Heun steps that go back up to sigma 2 once or twice when they have come down to 0.1.
 * Source: Xu et al. 2023 (arXiv 2306.14878); A1111 sd_samplers_extra.py, `restart_sampler`.
 */
export function* restart(run: SamplerRun): SamplerProgram {
  let step = 0;
  let reached = Infinity;
  for (const [from, to] of restartSteps(run.sigmas)) {
    if (from > reached) yield* renoise(run, 'x', reached, from);
    yield* denoise(run, 'x', 'denoised', from);
    yield* heunStep(run, from, to);
    yield show('denoised', ++step);
    reached = to;
  }
}

const RESTART_FROM = 0.1;
const RESTART_TO = 2;

/** All steps in order: a Karras schedule shorter than requested, and the restarts that fill it up. */
function restartSteps(sigmas: readonly number[]): [from: number, to: number][] {
  const steps = sigmas.length - 1;
  if (steps < 20) return pairs(sigmas);
  const [times, restartSteps] = steps >= 36 ? [2, Math.floor(steps / 4)] : [1, 9];
  const main = [...karrasSigmas(steps - restartSteps * times, sigmas.at(-2) ?? NaN, sigmas[0] ?? NaN), 0];
  const bottom = nearest(main, RESTART_FROM);
  const top = nearest(main, RESTART_TO);
  const before = pairs(main.slice(0, bottom + 1));
  const after = pairs(main.slice(bottom));
  const again =
    top < bottom ? pairs(karrasSigmas(restartSteps + 1, main[bottom] ?? NaN, main[top] ?? NaN)) : [];
  return [...before, ...Array.from({ length: times }, () => again).flat(), ...after];
}

function pairs(sigmas: readonly number[]): [from: number, to: number][] {
  return Array.from(stepsOf(sigmas), ({ from, to }) => [from, to]);
}

function nearest(sigmas: readonly number[], wanted: number): number {
  const distances = sigmas.map((sigma) => Math.abs(sigma - wanted));
  return distances.indexOf(Math.min(...distances));
}
