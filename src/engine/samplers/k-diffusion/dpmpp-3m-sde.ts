import type { SamplerProgram } from '#engine/samplers/program.ts';
import { addBrownianNoise, combine, denoise, show, stepsOf } from './run.ts';
import type { SamplerRun } from './run.ts';

/**
 * DPM-Solver++(3M) for the SDE: differences of the last three denoised images.
 * Source: k-diffusion sampling.py, `sample_dpmpp_3m_sde`.
 */
export function* dpmpp3mSde(run: SamplerRun): SamplerProgram {
  const { eta = 1, sNoise = 1 } = run.options;
  let lastStep = 0;
  let stepBefore = 0;
  for (const { number, from, to } of stepsOf(run.sigmas)) {
    yield* denoise(run, 'x', 'denoised', from);
    if (to === 0) {
      yield combine('x', [1, 'denoised']);
    } else {
      const h = Math.log(from / to);
      const total = h * (1 + eta);
      yield combine('x', [Math.exp(-total), 'x'], [-Math.expm1(-total), 'denoised']);
      const phi2 = Math.expm1(-total) / total + 1;
      if (stepBefore > 0) {
        const phi3 = phi2 / total - 0.5;
        const r0 = lastStep / h;
        const r1 = stepBefore / h;
        // First and second divided differences, written out as weights of the three images.
        const slope = phi2 * (1 + r0 / (r0 + r1)) - phi3 / (r0 + r1);
        const slopeBefore = phi2 * (-r0 / (r0 + r1)) + phi3 / (r0 + r1);
        yield combine(
          'x',
          [1, 'x'],
          [slope / r0, 'denoised'],
          [slopeBefore / r1 - slope / r0, 'previous'],
          [-slopeBefore / r1, 'before'],
        );
      } else if (lastStep > 0) {
        const slope = (phi2 * h) / lastStep;
        yield combine('x', [1, 'x'], [slope, 'denoised'], [-slope, 'previous']);
      }
      if (eta > 0) yield* addBrownianNoise('x', sNoise * to * Math.sqrt(-Math.expm1(-2 * eta * h)), from, to);
      stepBefore = lastStep;
      lastStep = h;
    }
    if (number > 1) yield combine('before', [1, 'previous']);
    yield combine('previous', [1, 'denoised']);
    yield show('denoised', number);
  }
}
