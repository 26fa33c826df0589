import type { SamplerProgram } from '#engine/samplers/program.ts';
import { choice, flag, maybeNumber, positiveAlphasOf, sigmaCurves, spacing, training } from './config.ts';
import { CLEAN } from './prediction.ts';
import { defineScheduler } from './scheduler.ts';
import { estimateClean, eulerStep, sigmaLevel } from './sigma-space.ts';
import { spaceSigmas } from './timesteps.ts';

/**
 * Euler's method on the probability flow.
 * Source: Karras et al. 2022, algorithm 2 without churn; diffusers' EulerDiscreteScheduler.
 */
export const eulerDiscrete = defineScheduler(
  {
    ...training('linear', 'scaled_linear', 'squaredcos_cap_v2'),
    ...spacing,
    ...sigmaCurves,
    prediction_type: choice('epsilon', 'sample', 'original_sample', 'v_prediction'),
    interpolation_type: choice('linear', 'log_linear'),
    sigma_min: maybeNumber,
    sigma_max: maybeNumber,
    timestep_type: choice('discrete', 'continuous'),
    rescale_betas_zero_snr: flag(false),
    final_sigmas_type: choice('zero', 'sigma_min'),
  },
  (config, steps) => {
    const prediction = config.prediction_type === 'original_sample' ? 'sample' : config.prediction_type;
    const spaced = spaceSigmas(config, steps, positiveAlphasOf(config));
    const { sigmas, initNoiseSigma } = spaced;
    const timesteps =
      config.timestep_type === 'continuous' && prediction === 'v_prediction'
        ? sigmas.slice(0, -1).map((sigma) => Math.fround(0.25 * Math.log(sigma)))
        : spaced.timesteps;

    function* sample(index: number): SamplerProgram {
      for (const [i, timestep] of timesteps.entries()) {
        if (i < index) continue;
        const sigma = sigmas[i] ?? NaN;
        yield* estimateClean(prediction, 'x', sigma, timestep);
        yield eulerStep('x', 'x', sigma, sigmas[i + 1] ?? NaN);
        yield { op: 'show', register: CLEAN, step: i - index + 1 };
      }
    }

    return { initNoiseSigma, sigmas, levelAt: (index) => sigmaLevel(sigmas[index]), steps, sample };
  },
);
