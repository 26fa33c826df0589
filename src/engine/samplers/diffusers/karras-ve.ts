import type { SamplerProgram } from '#engine/samplers/program.ts';
import { AppError } from '#protocol/error.ts';
import { number } from './config.ts';
import { CLEAN } from './prediction.ts';
import { defineScheduler } from './scheduler.ts';
import { sigmaLevel } from './sigma-space.ts';
import { adaptNetwork, trainedNetwork } from './ve-network.ts';

/**
 * Heun's method with churn: each step first adds some noise.
 * Source: Karras et al. 2022, algorithm 2 and table 5; diffusers' KarrasVeScheduler. As there, the schedule's
 * sigmas are the squares of what the configuration names, and the network's output is the negative slope.
 * A network trained otherwise brings its own range of sigmas.
 */
export const karrasVe = defineScheduler(
  {
    sigma_min: number(0.02),
    sigma_max: number(100),
    s_noise: number(1.007),
    s_churn: number(80),
    s_min: number(0.05),
    s_max: number(50),
  },
  (config, steps, options) => {
    if (steps < 2) throw new AppError('invalid_request', 'KarrasVeScheduler needs 2 or more steps.');
    const network = options.network
      ? adaptNetwork(options.network)
      : trainedNetwork({ min: config.sigma_min ** 2, max: config.sigma_max ** 2 }, () => -1);
    const { min, max } = network.range;
    const sigmas = Array.from({ length: steps }, (_, i) =>
      Math.fround(max * (min / max) ** (i / (steps - 1))),
    );
    sigmas.push(0);

    function* sample(index: number): SamplerProgram {
      for (let i = index; i < steps; i++) {
        const sigma = sigmas[i] ?? NaN;
        const next = sigmas[i + 1] ?? NaN;
        const churned = config.s_min <= sigma && sigma <= config.s_max;
        const raised = sigma * (1 + (churned ? Math.min(config.s_churn / steps, Math.SQRT2 - 1) : 0));
        yield { op: 'noise', to: 'fresh' };
        const added = config.s_noise * Math.sqrt(raised ** 2 - sigma ** 2);
        yield {
          op: 'combine',
          to: 'raised',
          terms: [
            [1, 'x'],
            [added, 'fresh'],
          ],
        };
        yield network.run('raised', raised);
        yield { op: 'combine', to: CLEAN, terms: network.clean('raised', raised) };
        yield { op: 'combine', to: 'slope', terms: network.slope('raised', raised) };
        yield {
          op: 'combine',
          to: 'x',
          terms: [
            [1, 'raised'],
            [next - raised, 'slope'],
          ],
        };
        if (next > 0) {
          yield network.run('x', next);
          yield { op: 'combine', to: CLEAN, terms: network.clean('x', next) };
          yield { op: 'combine', to: 'end slope', terms: network.slope('x', next) };
          yield {
            op: 'combine',
            to: 'slope',
            terms: [
              [0.5, 'slope'],
              [0.5, 'end slope'],
            ],
          };
          yield {
            op: 'combine',
            to: 'x',
            terms: [
              [1, 'raised'],
              [next - raised, 'slope'],
            ],
          };
        }
        yield { op: 'show', register: CLEAN, step: i - index + 1 };
      }
    }

    return {
      initNoiseSigma: options.network ? max : config.sigma_max,
      sigmas,
      levelAt: (index) => sigmaLevel(sigmas[index]),
      steps,
      sample,
    };
  },
);
