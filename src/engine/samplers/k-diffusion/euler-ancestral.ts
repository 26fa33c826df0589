import type { SamplerProgram } from '#engine/samplers/program.ts';
import { ancestralTarget, denoise, eulerStep, renoise, show, stepsOf } from './run.ts';
import type { SamplerRun } from './run.ts';

/** Euler steps beyond the goal and noise back up to it. Source: k-diffusion sampling.py, `sample_euler_ancestral`. */
export function* eulerAncestral(run: SamplerRun): SamplerProgram {
  const { eta = 1 } = run.options;
  for (const { number, from, to } of stepsOf(run.sigmas)) {
    const down = ancestralTarget(run, from, to, eta);
    yield* denoise(run, 'x', 'denoised', from);
    yield eulerStep('x', 'x', 'denoised', from, down);
    if (to > 0 && eta > 0) yield* renoise(run, 'x', down, to);
    yield show('denoised', number);
  }
}
