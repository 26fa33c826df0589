import type { SamplerProgram } from '#engine/samplers/program.ts';
import { ancestralTarget, denoise, eulerStep, renoise, show, stepsOf } from './run.ts';
import type { SamplerRun } from './run.ts';

/**
 * DPM-Solver++(2S) below the goal, and noise back up to it.
 * Source: Lu et al. 2022 (arXiv 2211.01095), algorithm 1; k-diffusion sampling.py, `sample_dpmpp_2s_ancestral`.
 */
export function* dpmpp2sAncestral(run: SamplerRun): SamplerProgram {
  const { eta = 1 } = run.options;
  for (const { number, from, to } of stepsOf(run.sigmas)) {
    const down = ancestralTarget(run, from, to, eta);
    yield* denoise(run, 'x', 'denoised', from);
    if (down === 0) {
      yield eulerStep('x', 'x', 'denoised', from, down);
    } else {
      const middle = Math.sqrt(from * down);
      yield eulerStep('halfway', 'x', 'denoised', from, middle);
      yield* denoise(run, 'halfway', 'denoised halfway', middle);
      yield eulerStep('x', 'x', 'denoised halfway', from, down);
    }
    if (to > 0 && eta > 0) yield* renoise(run, 'x', down, to);
    yield show('denoised', number);
  }
}
