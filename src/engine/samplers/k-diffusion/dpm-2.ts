import type { SamplerProgram } from '#engine/samplers/program.ts';
import { ancestralTarget, churn, combine, denoise, eulerStep, renoise, show, stepsOf } from './run.ts';
import type { SamplerRun } from './run.ts';

/** A midpoint method in log sigma. Source: k-diffusion sampling.py, `sample_dpm_2`, after Lu et al. 2022. */
export function* dpm2(run: SamplerRun): SamplerProgram {
  for (const { number, from, to } of stepsOf(run.sigmas)) {
    const raised = yield* churn(run, from);
    yield* denoise(run, 'x', 'denoised', raised);
    yield* midpointStep(run, raised, to);
    yield show('denoised', number);
  }
}

/** The same below the goal, and noise back up to it. Source: k-diffusion sampling.py, `sample_dpm_2_ancestral`. */
export function* dpm2Ancestral(run: SamplerRun): SamplerProgram {
  const { eta = 1 } = run.options;
  for (const { number, from, to } of stepsOf(run.sigmas)) {
    const down = ancestralTarget(run, from, to, eta);
    yield* denoise(run, 'x', 'denoised', from);
    yield* midpointStep(run, from, down);
    if (down > 0 && eta > 0) yield* renoise(run, 'x', down, to);
    yield show('denoised', number);
  }
}

function* midpointStep(run: SamplerRun, from: number, to: number): SamplerProgram {
  if (to === 0) {
    yield eulerStep('x', 'x', 'denoised', from, to);
    return;
  }
  const middle = Math.sqrt(from * to);
  yield eulerStep('halfway', 'x', 'denoised', from, middle);
  yield* denoise(run, 'halfway', 'denoised halfway', middle);
  const dt = (to - from) / middle;
  yield combine('x', [1, 'x'], [dt, 'halfway'], [-dt, 'denoised halfway']);
}
