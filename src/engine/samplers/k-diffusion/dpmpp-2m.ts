import type { SamplerProgram } from '#engine/samplers/program.ts';
import { combine, denoise, eulerStep, show, stepsOf } from './run.ts';
import type { SamplerRun } from './run.ts';

/**
 * DPM-Solver++(2M): exponential integrator in λ = −log sigma with a linear extrapolation of the denoised image.
 * Source: Lu et al. 2022 (arXiv 2211.01095), algorithm 2; k-diffusion sampling.py, `sample_dpmpp_2m`.
 */
export function* dpmpp2m(run: SamplerRun): SamplerProgram {
  let lastStep = 0;
  for (const { number, from, to } of stepsOf(run.sigmas)) {
    yield* denoise(run, 'x', 'denoised', from);
    const h = Math.log(from / to);
    if (lastStep === 0 || to === 0) {
      yield eulerStep('x', 'x', 'denoised', from, to);
    } else {
      const weight = -Math.expm1(-h);
      const slope = h / (2 * lastStep);
      yield combine('x', [to / from, 'x'], [weight * (1 + slope), 'denoised'], [-weight * slope, 'previous']);
    }
    yield combine('previous', [1, 'denoised']);
    yield show('denoised', number);
    lastStep = h;
  }
}
