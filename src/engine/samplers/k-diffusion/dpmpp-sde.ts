import type { SamplerProgram } from '#engine/samplers/program.ts';
import { addBrownianNoise, ancestralTarget, denoise, eulerStep, show, stepsOf } from './run.ts';
import type { SamplerRun } from './run.ts';

/**
 * DPM-Solver++ for the SDE, single-step with its midpoint in log sigma (r = 1/2).
 * Source: Lu et al. 2022 (arXiv 2211.01095); k-diffusion sampling.py, `sample_dpmpp_sde`.
 */
export function* dpmppSde(run: SamplerRun): SamplerProgram {
  const { eta = 1, sNoise = 1 } = run.options;
  for (const { number, from, to } of stepsOf(run.sigmas)) {
    yield* denoise(run, 'x', 'denoised', from);
    if (to === 0) {
      yield eulerStep('x', 'x', 'denoised', from, to);
    } else {
      const middle = Math.sqrt(from * to);
      const downHalfway = ancestralTarget(run, from, middle, eta);
      yield eulerStep('halfway', 'x', 'denoised', from, downHalfway);
      if (eta > 0) yield* addBrownianNoise('halfway', sNoise * missing(downHalfway, middle), from, middle);
      yield* denoise(run, 'halfway', 'denoised halfway', middle);
      const down = ancestralTarget(run, from, to, eta);
      yield eulerStep('x', 'x', 'denoised halfway', from, down);
      if (eta > 0) yield* addBrownianNoise('x', sNoise * missing(down, to), from, to);
    }
    yield show('denoised', number);
  }
}

/** Noise that brings sigma `down` up to `to`. */
function missing(down: number, to: number): number {
  return Math.sqrt(Math.max(to * to - down * down, 0));
}
