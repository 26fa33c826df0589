import type { SamplerProgram } from '#engine/samplers/program.ts';
import { choice, flag, positiveAlphasOf, spacing, training } from './config.ts';
import { CLEAN } from './prediction.ts';
import { defineScheduler } from './scheduler.ts';
import { addNoise, ancestralStep, estimateClean, eulerStep, sigmaLevel } from './sigma-space.ts';
import { spaceSigmas } from './timesteps.ts';

/** No curve of sigmas can be configured here. */
const NO_CURVE = { use_karras_sigmas: false, use_exponential_sigmas: false, use_beta_sigmas: false };

/**
 * Euler's method with fresh noise in every step.
 * Source: k-diffusion sampling.py, `sample_euler_ancestral`; diffusers' EulerAncestralDiscreteScheduler.
 */
export const eulerAncestralDiscrete = defineScheduler(
  {
    ...training('linear', 'scaled_linear', 'squaredcos_cap_v2'),
    ...spacing,
    prediction_type: choice('epsilon', 'v_prediction'),
    rescale_betas_zero_snr: flag(false),
  },
  (config, steps) => {
    const { sigmas, timesteps, initNoiseSigma } = spaceSigmas(
      { ...config, ...NO_CURVE },
      steps,
      positiveAlphasOf(config),
    );

    function* sample(index: number): SamplerProgram {
      for (const [i, timestep] of timesteps.entries()) {
        if (i < index) continue;
        const sigma = sigmas[i] ?? NaN;
        const { down, up } = ancestralStep(sigma, sigmas[i + 1] ?? NaN);
        yield* estimateClean(config.prediction_type, 'x', sigma, timestep);
        yield eulerStep('x', 'x', sigma, down);
        yield* addNoise(up);
        yield { op: 'show', register: CLEAN, step: i - index + 1 };
      }
    }

    return { initNoiseSigma, sigmas, levelAt: (index) => sigmaLevel(sigmas[index]), steps, sample };
  },
);
