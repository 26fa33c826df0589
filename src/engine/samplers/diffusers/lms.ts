import type { Register, SamplerProgram, Term } from '#engine/samplers/program.ts';
import { choice, positiveAlphasOf, sigmaCurves, spacing, training } from './config.ts';
import { CLEAN } from './prediction.ts';
import { defineScheduler } from './scheduler.ts';
import { estimateClean, sigmaLevel } from './sigma-space.ts';
import { spaceSigmas } from './timesteps.ts';

const ORDER = 4;

/**
 * Linear multistep method over unequal steps, with up to four past slopes.
 * Source: k-diffusion sampling.py, `sample_lms`; diffusers' LMSDiscreteScheduler.
 */
export const lmsDiscrete = defineScheduler(
  {
    ...training('linear', 'scaled_linear', 'squaredcos_cap_v2'),
    ...spacing,
    ...sigmaCurves,
    prediction_type: choice('epsilon', 'sample', 'v_prediction'),
  },
  (config, steps) => {
    const { sigmas, timesteps, initNoiseSigma } = spaceSigmas(config, steps, positiveAlphasOf(config));

    function* sample(index: number): SamplerProgram {
      for (const [i, timestep] of timesteps.entries()) {
        if (i < index) continue;
        const sigma = sigmas[i] ?? NaN;
        yield* estimateClean(config.prediction_type, 'x', sigma, timestep);
        yield {
          op: 'combine',
          to: slopeOf(i),
          terms: [
            [1 / sigma, 'x'],
            [-1 / sigma, CLEAN],
          ],
        };
        // From an image on, the order counts the steps left out: diffusers weighs the slopes as if it had them.
        const order = Math.min(i + 1, ORDER);
        const terms: Term[] = [[1, 'x']];
        for (let past = 0; past < Math.min(order, i - index + 1); past++) {
          terms.push([lagrangeIntegral(sigmas, i, past, order), slopeOf(i - past)]);
        }
        yield { op: 'combine', to: 'x', terms };
        yield { op: 'show', register: CLEAN, step: i - index + 1 };
      }
    }

    return { initNoiseSigma, sigmas, levelAt: (index) => sigmaLevel(sigmas[index]), steps, sample };
  },
);

function slopeOf(step: number): Register {
  return `slope${step % ORDER}`;
}

/**
 * Integral over the next step of the polynomial that is 1 at the sigma of `past` steps ago and 0 at the others.
 * Two-point Gauss quadrature is exact for cubics.
 */
function lagrangeIntegral(sigmas: readonly number[], step: number, past: number, order: number): number {
  const at = (i: number) => sigmas[i] ?? NaN;
  const half = (at(step + 1) - at(step)) / 2;
  const middle = (at(step + 1) + at(step)) / 2;
  const value = (sigma: number) => {
    let product = 1;
    for (let k = 0; k < order; k++) {
      if (k !== past) product *= (sigma - at(step - k)) / (at(step - past) - at(step - k));
    }
    return product;
  };
  const offset = half / Math.sqrt(3);
  return half * (value(middle - offset) + value(middle + offset));
}
