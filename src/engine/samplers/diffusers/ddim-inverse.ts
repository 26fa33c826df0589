import type { SamplerProgram } from '#engine/samplers/program.ts';
import { alphasOf, choice, clipping, entryAt, flag, spacing, training } from './config.ts';
import { CLEAN, cleanTerms, levelOfAlpha, limit, noiseTerms, OUTPUT } from './prediction.ts';
import { defineScheduler } from './scheduler.ts';
import { noiseRatios, spaceWholeTimesteps } from './timesteps.ts';

/**
 * DDIM run backwards: finds the noise that DDIM would turn into an image.
 * Source: Mokady et al. 2022, "Null-text Inversion", section 3.2; diffusers' DDIMInverseScheduler.
 */
export const ddimInverse = defineScheduler(
  {
    ...training('linear', 'scaled_linear', 'squaredcos_cap_v2'),
    ...clipping(true),
    steps_offset: spacing.steps_offset,
    timestep_spacing: choice('leading', 'trailing'),
    set_alpha_to_one: flag(true),
    prediction_type: choice('epsilon', 'sample', 'v_prediction'),
    rescale_betas_zero_snr: flag(false),
  },
  (config, steps) => {
    const table = alphasOf(config);
    const timesteps = spaceWholeTimesteps(config, steps).reverse();
    const stride = Math.floor(config.num_train_timesteps / steps);
    const initialAlpha = config.set_alpha_to_one ? 1 : entryAt(table, 0);
    const alphaBefore = (timestep: number) =>
      timestep < stride ? initialAlpha : entryAt(table, timestep - stride);

    function* sample(index: number): SamplerProgram {
      for (const [i, timestep] of timesteps.entries()) {
        if (i < index) continue;
        const level = levelOfAlpha(alphaBefore(timestep));
        const next = levelOfAlpha(entryAt(table, timestep));
        yield { op: 'denoise', from: 'x', to: OUTPUT, timestep, inputScale: 1 };
        yield { op: 'combine', to: CLEAN, terms: cleanTerms(config.prediction_type, level, 'x') };
        yield { op: 'combine', to: 'eps', terms: noiseTerms(config.prediction_type, level, 'x') };
        yield* limit(CLEAN, config);
        yield {
          op: 'combine',
          to: 'x',
          terms: [
            [next.alpha, CLEAN],
            [next.sigma, 'eps'],
          ],
        };
        yield { op: 'show', register: CLEAN, step: i - index + 1 };
      }
    }

    return {
      initNoiseSigma: 1,
      sigmas: noiseRatios([...timesteps.map(alphaBefore), entryAt(table, timesteps.at(-1) ?? 0)]),
      // An image is inverted without added noise, over all steps.
      levelAt: (index) => (index === 0 ? { alpha: 1, sigma: 0 } : undefined),
      steps,
      sample,
    };
  },
);
