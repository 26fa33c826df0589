import type { SamplerProgram } from '#engine/samplers/program.ts';
import { combine, denoise, show, stepsOf } from './run.ts';
import type { SamplerRun } from './run.ts';

/**
 * Ancestral sampling of DDPM.
 * Source: Ho et al. 2020 (arXiv 2006.11239), equation 11; ComfyUI k_diffusion/sampling.py, `sample_ddpm`.
 */
export function* ddpm(run: SamplerRun): SamplerProgram {
  const { sNoise = 1 } = run.options;
  for (const { number, from, to } of stepsOf(run.sigmas)) {
    const alphaFrom = 1 / (1 + from * from);
    const alphaTo = 1 / (1 + to * to);
    const alpha = alphaFrom / alphaTo;
    // The paper's latents are x · √ᾱ, and its noise is (x − denoised) / sigma.
    const remove = (1 - alpha) / Math.sqrt(alpha * alphaTo * (1 - alphaFrom)) / from;
    yield* denoise(run, 'x', 'denoised', from);
    yield combine('x', [1 - remove, 'x'], [remove, 'denoised']);
    if (to > 0) {
      const spread = Math.sqrt(((1 - alpha) * (1 - alphaTo)) / ((1 - alphaFrom) * alphaTo));
      yield { op: 'noise', to: 'draw' };
      yield combine('x', [1, 'x'], [sNoise * spread, 'draw']);
    }
    yield show('denoised', number);
  }
}
