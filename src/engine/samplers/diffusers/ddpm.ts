import type { SamplerProgram, Term } from '#engine/samplers/program.ts';
import { AppError } from '#protocol/error.ts';
import {
  alphasOf,
  choice,
  clipping,
  entryAt,
  flag,
  leadingSpacing,
  thresholding,
  training,
} from './config.ts';
import { CLEAN, cleanTerms, levelOfAlpha, limit, OUTPUT } from './prediction.ts';
import { defineScheduler } from './scheduler.ts';
import { noiseRatios, posteriorVariance, spaceWholeTimesteps } from './timesteps.ts';

/**
 * DDPM, over any subset of the training timesteps.
 * Source: Ho et al. 2020, "Denoising Diffusion Probabilistic Models", equations 6 and 7; diffusers' DDPMScheduler.
 */
export const ddpm = defineScheduler(
  {
    ...training('linear', 'scaled_linear', 'squaredcos_cap_v2', 'laplace', 'sigmoid'),
    ...leadingSpacing,
    ...clipping(true),
    ...thresholding,
    variance_type: choice(
      'fixed_small',
      'fixed_small_log',
      'fixed_large',
      'fixed_large_log',
      'learned',
      'learned_range',
    ),
    prediction_type: choice('epsilon', 'sample', 'v_prediction'),
    rescale_betas_zero_snr: flag(false),
  },
  (config, steps) => {
    if (config.variance_type.startsWith('learned')) {
      throw new AppError('unsupported_feature', 'Models that also predict their variance are not supported.');
    }
    const table = alphasOf(config);
    const timesteps = spaceWholeTimesteps(config, steps);
    const alphas = [...timesteps.map((timestep) => entryAt(table, timestep)), 1];
    const large = config.variance_type.startsWith('fixed_large');

    function* sample(index: number): SamplerProgram {
      for (const [i, timestep] of timesteps.entries()) {
        if (i < index) continue;
        const alpha = alphas[i] ?? NaN;
        const previous = alphas[i + 1] ?? NaN;
        const beta = 1 - alpha / previous;
        yield { op: 'denoise', from: 'x', to: OUTPUT, timestep, inputScale: 1 };
        yield {
          op: 'combine',
          to: CLEAN,
          terms: cleanTerms(config.prediction_type, levelOfAlpha(alpha), 'x'),
        };
        yield* limit(CLEAN, config);
        const mean: Term[] = [
          [(Math.sqrt(previous) * beta) / (1 - alpha), CLEAN],
          [(Math.sqrt(1 - beta) * (1 - previous)) / (1 - alpha), 'x'],
        ];
        if (timestep > 0) {
          yield { op: 'noise', to: 'fresh' };
          mean.push([Math.sqrt(large ? beta : posteriorVariance(alpha, previous)), 'fresh']);
        }
        yield { op: 'combine', to: 'x', terms: mean };
        yield { op: 'show', register: CLEAN, step: i - index + 1 };
      }
    }

    return {
      initNoiseSigma: 1,
      sigmas: noiseRatios(alphas),
      levelAt: (index) => levelOfAlpha(alphas[index] ?? NaN),
      steps,
      sample,
    };
  },
);
