import type { SamplerProgram } from '#engine/samplers/program.ts';
import {
  alphasOf,
  clipping,
  entryAt,
  flag,
  leadingSpacing,
  thresholding,
  training,
  choice,
} from './config.ts';
import { CLEAN, cleanTerms, levelOfAlpha, limit, noiseTerms, OUTPUT } from './prediction.ts';
import { defineScheduler } from './scheduler.ts';
import { noiseRatios, posteriorVariance, spaceWholeTimesteps } from './timesteps.ts';

/**
 * DDIM; with eta 1 it adds as much noise as DDPM.
 * Source: Song et al. 2020, "Denoising Diffusion Implicit Models", equations 12 and 16; diffusers' DDIMScheduler.
 */
export const ddim = defineScheduler(
  {
    ...training('linear', 'scaled_linear', 'squaredcos_cap_v2'),
    ...leadingSpacing,
    ...clipping(true),
    ...thresholding,
    set_alpha_to_one: flag(true),
    prediction_type: choice('epsilon', 'sample', 'v_prediction'),
    rescale_betas_zero_snr: flag(false),
  },
  (config, steps, { eta = 0 }) => {
    const alphas = alphasOf(config);
    const timesteps = spaceWholeTimesteps(config, steps);
    const stride = Math.floor(config.num_train_timesteps / steps);
    const finalAlpha = config.set_alpha_to_one ? 1 : entryAt(alphas, 0);
    const alphaAt = (timestep: number) => (timestep < 0 ? finalAlpha : entryAt(alphas, timestep));

    function* sample(index: number): SamplerProgram {
      for (const [i, timestep] of timesteps.entries()) {
        if (i < index) continue;
        const level = levelOfAlpha(alphaAt(timestep));
        const previous = alphaAt(timestep - stride);
        const noise = eta * Math.sqrt(posteriorVariance(alphaAt(timestep), previous));
        yield { op: 'denoise', from: 'x', to: OUTPUT, timestep, inputScale: 1 };
        yield { op: 'combine', to: CLEAN, terms: cleanTerms(config.prediction_type, level, 'x') };
        yield { op: 'combine', to: 'eps', terms: noiseTerms(config.prediction_type, level, 'x') };
        yield* limit(CLEAN, config);
        const direction = Math.sqrt(1 - previous - noise * noise);
        yield {
          op: 'combine',
          to: 'x',
          terms: [
            [Math.sqrt(previous), CLEAN],
            [direction, 'eps'],
          ],
        };
        if (eta > 0) {
          yield { op: 'noise', to: 'fresh' };
          yield {
            op: 'combine',
            to: 'x',
            terms: [
              [1, 'x'],
              [noise, 'fresh'],
            ],
          };
        }
        yield { op: 'show', register: CLEAN, step: i - index + 1 };
      }
    }

    return {
      initNoiseSigma: 1,
      sigmas: noiseRatios([...timesteps.map(alphaAt), finalAlpha]),
      levelAt: (index) => levelOfAlpha(alphaAt(timesteps[index] ?? 0)),
      steps,
      sample,
    };
  },
);
