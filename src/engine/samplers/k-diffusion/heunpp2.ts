import type { SamplerProgram } from '#engine/samplers/program.ts';
import { churn, combine, denoise, derivative, eulerStep, show } from './run.ts';
import type { SamplerRun } from './run.ts';

/**
 * Heun++: derivatives at the next one or two sigmas, weighted by how noisy they still are.
 * Source: ComfyUI k_diffusion/sampling.py, `sample_heunpp2`.
 */
export function* heunpp2(run: SamplerRun): SamplerProgram {
  const { sigmas } = run;
  const [highest = 0] = sigmas;
  const end = sigmas.at(-1);
  for (const [i, from] of sigmas.entries()) {
    const to = sigmas[i + 1];
    if (to === undefined) break;
    const after = sigmas[i + 2];
    const raised = yield* churn(run, from);
    yield* denoise(run, 'x', 'denoised', raised);
    const dt = to - raised;
    if (to === end) {
      yield eulerStep('x', 'x', 'denoised', raised, to);
      yield show('denoised', i + 1);
      continue;
    }
    yield derivative('d', 'x', 'denoised', raised);
    yield combine('ahead', [1, 'x'], [dt, 'd']);
    yield* denoise(run, 'ahead', 'denoised ahead', to);
    yield derivative('d ahead', 'ahead', 'denoised ahead', to);
    if (after === undefined || after === end) {
      const weight = to / (2 * highest);
      yield combine('x', [1, 'x'], [dt * (1 - weight), 'd'], [dt * weight, 'd ahead']);
    } else {
      yield combine('further', [1, 'ahead'], [after - to, 'd ahead']);
      yield* denoise(run, 'further', 'denoised further', after);
      yield derivative('d further', 'further', 'denoised further', after);
      const second = to / (3 * highest);
      const third = after / (3 * highest);
      yield combine(
        'x',
        [1, 'x'],
        [dt * (1 - second - third), 'd'],
        [dt * second, 'd ahead'],
        [dt * third, 'd further'],
      );
    }
    yield show('denoised', i + 1);
  }
}
