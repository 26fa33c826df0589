import type { SamplerProgram } from '#engine/samplers/program.ts';
import { churn, combine, denoise, eulerStep, show, stepsOf } from './run.ts';
import type { SamplerRun } from './run.ts';

/** Heun's method. Source: Karras et al. 2022, algorithm 2; k-diffusion sampling.py, `sample_heun`. */
export function* heun(run: SamplerRun): SamplerProgram {
  for (const { number, from, to } of stepsOf(run.sigmas)) {
    const raised = yield* churn(run, from);
    yield* denoise(run, 'x', 'denoised', raised);
    yield* heunStep(run, raised, to);
    yield show('denoised', number);
  }
}

/** Brings `x` from one sigma to the next by the mean of the derivatives at both; `denoised` is known at the first. */
export function* heunStep(run: SamplerRun, from: number, to: number): SamplerProgram {
  if (to === 0) {
    yield eulerStep('x', 'x', 'denoised', from, to);
    return;
  }
  yield eulerStep('ahead', 'x', 'denoised', from, to);
  yield* denoise(run, 'ahead', 'denoised ahead', to);
  const half = (to - from) / 2;
  yield combine(
    'x',
    [1 + half / from, 'x'],
    [-half / from, 'denoised'],
    [half / to, 'ahead'],
    [-half / to, 'denoised ahead'],
  );
}
