import type { SamplerProgram } from '#engine/samplers/program.ts';
import { combine, denoise, renoise, show, stepsOf } from './run.ts';
import type { SamplerRun } from './run.ts';

/**
 * Consistency sampling: denoise all the way, and make noisy again for the next step.
 * Source: Song et al. 2023 (arXiv 2303.01469), algorithm 1; A1111 sd_samplers_lcm.py, `sample_lcm`.
 */
export function* lcm(run: SamplerRun): SamplerProgram {
  for (const { number, from, to } of stepsOf(run.sigmas)) {
    yield* denoise(run, 'x', 'denoised', from);
    yield combine('x', [1, 'denoised']);
    if (to > 0) yield* renoise(run, 'x', 0, to);
    yield show('denoised', number);
  }
}
