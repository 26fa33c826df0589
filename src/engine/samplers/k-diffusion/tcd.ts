import type { SamplerProgram } from '#engine/samplers/program.ts';
import { combine, denoise, show, stepsOf } from './run.ts';
import type { SamplerRun } from './run.ts';

/**
 * Trajectory consistency: a deterministic step beyond the goal, to a share `1 − eta` of its timestep, and noise.
 * Source: Zheng et al. 2024 (arXiv 2402.19159); Fooocus ldm_patched/k_diffusion/sampling.py, `sample_tcd`.
 */
export function* tcd(run: SamplerRun): SamplerProgram {
  const { eta = 0.3, sNoise = 1 } = run.options;
  const { denoiser } = run;
  for (const { number, from, to } of stepsOf(run.sigmas)) {
    const timestep = to > 0 ? Math.floor((1 - eta) * denoiser.timestepOfSigma(to)) : 0;
    const alpha = denoiser.alphasCumprod[timestep] ?? NaN;
    yield* denoise(run, 'x', 'denoised', from);
    // √ᾱ · denoised + √(1 − ᾱ) · (x − denoised) / sigma
    const noise = Math.sqrt(1 - alpha) / from;
    const scale = to > 0 && eta > 0 ? 1 / Math.sqrt(alpha) : Math.sqrt(1 + to * to);
    yield combine('x', [scale * noise, 'x'], [scale * (Math.sqrt(alpha) - noise), 'denoised']);
    if (to > 0 && eta > 0) {
      yield { op: 'noise', to: 'draw' };
      yield combine('x', [1, 'x'], [sNoise * Math.sqrt(Math.max(to * to + 1 - 1 / alpha, 0)), 'draw']);
    }
    yield show('denoised', number);
  }
}
