import type { Instruction, SamplerProgram } from '#engine/samplers/program.ts';
import {
  choice,
  clipping,
  positiveAlphasOf,
  sigmaCurves,
  spacing,
  stableDiffusionBetas,
  training,
} from './config.ts';
import { CLEAN, limit } from './prediction.ts';
import { defineScheduler } from './scheduler.ts';
import { estimateClean, eulerStep, sigmaLevel } from './sigma-space.ts';
import { spaceSigmas } from './timesteps.ts';

/**
 * Heun's method: the slope of each step is the mean of those at its two ends.
 * Source: Karras et al. 2022, algorithm 1; diffusers' HeunDiscreteScheduler.
 */
export const heunDiscrete = defineScheduler(
  {
    ...training('linear', 'scaled_linear', 'squaredcos_cap_v2', 'exp'),
    ...stableDiffusionBetas,
    ...spacing,
    ...sigmaCurves,
    ...clipping(false),
    prediction_type: choice('epsilon', 'sample', 'v_prediction'),
  },
  (config, steps) => {
    const { sigmas, timesteps, initNoiseSigma } = spaceSigmas(config, steps, positiveAlphasOf(config));

    function* sample(index: number): SamplerProgram {
      for (const [i, timestep] of timesteps.entries()) {
        if (i < index) continue;
        const sigma = sigmas[i] ?? NaN;
        const next = sigmas[i + 1] ?? NaN;
        yield* estimateClean(config.prediction_type, 'x', sigma, timestep);
        yield* limit(CLEAN, config);
        const endTimestep = timesteps[i + 1];
        if (endTimestep === undefined) {
          yield eulerStep('x', 'x', sigma, next);
        } else {
          yield {
            op: 'combine',
            to: 'slope',
            terms: [
              [1 / sigma, 'x'],
              [-1 / sigma, CLEAN],
            ],
          };
          yield eulerStep('end', 'x', sigma, next);
          yield* estimateClean(config.prediction_type, 'end', next, endTimestep);
          yield* limit(CLEAN, config);
          yield heunStep(next - sigma, next);
        }
        yield { op: 'show', register: CLEAN, step: i - index + 1 };
      }
    }

    return { initNoiseSigma, sigmas, levelAt: (index) => sigmaLevel(sigmas[index]), steps, sample };
  },
);

/** Moves `x` by `distance` along the mean of `slope` and the slope at `end`, whose sigma is `endSigma`. */
function heunStep(distance: number, endSigma: number): Instruction {
  const half = distance / 2;
  return {
    op: 'combine',
    to: 'x',
    terms: [
      [1, 'x'],
      [half, 'slope'],
      [half / endSigma, 'end'],
      [-half / endSigma, CLEAN],
    ],
  };
}
