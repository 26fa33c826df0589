import type { SamplerProgram } from '#engine/samplers/program.ts';
import { churn, denoise, eulerStep, show, stepsOf } from './run.ts';
import type { SamplerRun } from './run.ts';

/** Euler steps. Source: Karras et al. 2022, algorithm 2 without its correction; `sample_euler`. */
export function* euler(run: SamplerRun): SamplerProgram {
  for (const { number, from, to } of stepsOf(run.sigmas)) {
    const raised = yield* churn(run, from);
    yield* denoise(run, 'x', 'denoised', raised);
    yield eulerStep('x', 'x', 'denoised', raised, to);
    yield show('denoised', number);
  }
}
