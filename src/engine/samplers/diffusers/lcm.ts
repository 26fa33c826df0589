import { linspace } from '#engine/samplers/noise-schedule.ts';
import type { SamplerProgram } from '#engine/samplers/program.ts';
import { AppError } from '#protocol/error.ts';
import {
  alphasOf,
  choice,
  clipping,
  count,
  entryAt,
  flag,
  leadingSpacing,
  number,
  stableDiffusionBetas,
  thresholding,
  training,
} from './config.ts';
import { CLEAN, cleanTerms, levelOfAlpha, limit, OUTPUT } from './prediction.ts';
import { defineScheduler } from './scheduler.ts';
import { noiseRatios } from './timesteps.ts';

/** Standard deviation of the data in the boundary condition. */
const SIGMA_DATA = 0.5;

/**
 * Multistep sampling of latent consistency models: each estimate is made noisy again, down to the next level.
 * Source: Luo et al. 2023, "Latent Consistency Models", algorithm 3; diffusers' LCMScheduler.
 */
export const lcm = defineScheduler(
  {
    ...training('scaled_linear', 'linear', 'squaredcos_cap_v2'),
    ...stableDiffusionBetas,
    // Timesteps are those of the distillation: spacing and offset are accepted and change nothing, as in diffusers.
    ...leadingSpacing,
    ...clipping(false),
    ...thresholding,
    original_inference_steps: count(50),
    set_alpha_to_one: flag(true),
    prediction_type: choice('epsilon', 'sample', 'v_prediction'),
    timestep_scaling: number(10),
    rescale_betas_zero_snr: flag(false),
  },
  (config, steps) => {
    const table = alphasOf(config);
    const timesteps = distilledTimesteps(config.num_train_timesteps, config.original_inference_steps, steps);
    const alphas = timesteps.map((timestep) => entryAt(table, timestep));

    function* sample(index: number): SamplerProgram {
      for (const [i, timestep] of timesteps.entries()) {
        if (i < index) continue;
        const scaled = timestep * config.timestep_scaling;
        const skip = SIGMA_DATA ** 2 / (scaled ** 2 + SIGMA_DATA ** 2);
        const out = scaled / Math.sqrt(scaled ** 2 + SIGMA_DATA ** 2);
        yield { op: 'denoise', from: 'x', to: OUTPUT, timestep, inputScale: 1 };
        const level = levelOfAlpha(alphas[i] ?? NaN);
        yield { op: 'combine', to: CLEAN, terms: cleanTerms(config.prediction_type, level, 'x') };
        yield* limit(CLEAN, config);
        yield {
          op: 'combine',
          to: CLEAN,
          terms: [
            [out, CLEAN],
            [skip, 'x'],
          ],
        };
        const next = alphas[i + 1];
        if (next === undefined) {
          yield { op: 'combine', to: 'x', terms: [[1, CLEAN]] };
        } else {
          const { alpha, sigma } = levelOfAlpha(next);
          yield { op: 'noise', to: 'fresh' };
          yield {
            op: 'combine',
            to: 'x',
            terms: [
              [alpha, CLEAN],
              [sigma, 'fresh'],
            ],
          };
        }
        yield { op: 'show', register: CLEAN, step: i - index + 1 };
      }
    }

    return {
      initNoiseSigma: 1,
      sigmas: noiseRatios([...alphas, 1]),
      levelAt: (index) => levelOfAlpha(alphas[index] ?? NaN),
      steps,
      sample,
    };
  },
);

/** Evenly chosen, falling timesteps of the schedule the model was distilled on. */
function distilledTimesteps(train: number, original: number, steps: number): number[] {
  if (original > train || steps > original) {
    throw new AppError(
      'invalid_request',
      `LCM allows at most original_inference_steps (${original}) steps, which must not be above ${train}. This run has ${steps}.`,
    );
  }
  const stride = Math.floor(train / original);
  // numpy's linspace without its end: step length first, then multiples.
  return linspace(0, original, steps + 1)
    .slice(0, -1)
    .map((i) => (original - Math.floor(i)) * stride - 1);
}
