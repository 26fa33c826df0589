import type { SamplerProgram } from '#engine/samplers/program.ts';
import { addBrownianNoise, combine, denoise, show, stepsOf } from './run.ts';
import type { SamplerRun } from './run.ts';

/**
 * DPM-Solver++(2M) for the SDE.
 * Source: Lu et al. 2022 (arXiv 2211.01095), SDE-DPM-Solver++(2M); k-diffusion sampling.py, `sample_dpmpp_2m_sde`.
 * @param solver how the change of the denoised image is weighted, unless the request says
 */
export function* dpmpp2mSde(run: SamplerRun, solver: 'midpoint' | 'heun' = 'midpoint'): SamplerProgram {
  const { eta = 1, sNoise = 1, solverType = solver } = run.options;
  let lastStep = 0;
  for (const { number, from, to } of stepsOf(run.sigmas)) {
    yield* denoise(run, 'x', 'denoised', from);
    if (to === 0) {
      yield combine('x', [1, 'denoised']);
    } else {
      const h = Math.log(from / to);
      const total = h * (1 + eta);
      const weight = -Math.expm1(-total);
      yield combine('x', [(to / from) * Math.exp(-eta * h), 'x'], [weight, 'denoised']);
      if (lastStep > 0) {
        const slope = ((solverType === 'heun' ? 1 - weight / total : weight / 2) * h) / lastStep;
        yield combine('x', [1, 'x'], [slope, 'denoised'], [-slope, 'previous']);
      }
      if (eta > 0) yield* addBrownianNoise('x', sNoise * to * Math.sqrt(-Math.expm1(-2 * eta * h)), from, to);
      lastStep = h;
    }
    yield combine('previous', [1, 'denoised']);
    yield show('denoised', number);
  }
}

/** The same with the Heun weighting, which A1111 lists as a sampler of its own. */
export function dpmpp2mSdeHeun(run: SamplerRun): SamplerProgram {
  return dpmpp2mSde(run, 'heun');
}
