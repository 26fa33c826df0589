import { timestepOfSigma } from '#engine/samplers/noise-schedule.ts';
import type { SamplerProgram } from '#engine/samplers/program.ts';
import { choice, positiveAlphasOf, sigmaCurves, spacing, stableDiffusionBetas, training } from './config.ts';
import { CLEAN } from './prediction.ts';
import { defineScheduler, type DiffusersScheduler } from './scheduler.ts';
import { addNoise, ancestralStep, estimateClean, eulerStep, sigmaLevel } from './sigma-space.ts';
import { spaceSigmas } from './timesteps.ts';

const entries = {
  ...training('linear', 'scaled_linear', 'squaredcos_cap_v2'),
  ...stableDiffusionBetas,
  ...spacing,
  ...sigmaCurves,
  prediction_type: choice('epsilon', 'v_prediction'),
};

/**
 * The midpoint method, in log sigma.
 * Source: k-diffusion sampling.py, `sample_dpm_2`; diffusers' KDPM2DiscreteScheduler.
 */
export const kdpm2Discrete = defineMidpointScheduler((_, to) => ({ down: to, up: 0 }));

/**
 * The midpoint method down to a lower sigma, from where fresh noise leads up again.
 * Source: k-diffusion sampling.py, `sample_dpm_2_ancestral`; diffusers' KDPM2AncestralDiscreteScheduler.
 */
export const kdpm2AncestralDiscrete = defineMidpointScheduler(ancestralStep);

/** @param divide where a step goes down to, and how much noise brings it up again */
function defineMidpointScheduler(divide: typeof ancestralStep): DiffusersScheduler {
  return defineScheduler(entries, (config, steps) => {
    const prediction = config.prediction_type;
    const alphas = positiveAlphasOf(config);
    const { sigmas, timesteps, initNoiseSigma, logSigmas } = spaceSigmas(config, steps, alphas, true);

    function* sample(index: number): SamplerProgram {
      for (const [i, timestep] of timesteps.entries()) {
        if (i < index) continue;
        const sigma = sigmas[i] ?? NaN;
        const { down, up } = divide(sigma, sigmas[i + 1] ?? NaN);
        yield* estimateClean(prediction, 'x', sigma, timestep);
        if (i === timesteps.length - 1) {
          yield eulerStep('x', 'x', sigma, down);
        } else {
          const middle = Math.sqrt(sigma * down);
          yield eulerStep('middle', 'x', sigma, middle);
          yield* estimateClean(prediction, 'middle', middle, Math.fround(timestepOfSigma(middle, logSigmas)));
          const slope = (down - sigma) / middle;
          yield {
            op: 'combine',
            to: 'x',
            terms: [
              [1, 'x'],
              [slope, 'middle'],
              [-slope, CLEAN],
            ],
          };
          yield* addNoise(up);
        }
        yield { op: 'show', register: CLEAN, step: i - index + 1 };
      }
    }

    return { initNoiseSigma, sigmas, levelAt: (index) => sigmaLevel(sigmas[index]), steps, sample };
  });
}
