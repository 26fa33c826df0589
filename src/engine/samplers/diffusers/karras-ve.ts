import type { Register, SamplerProgram, Term } from '#engine/samplers/program.ts';
import { AppError } from '#protocol/error.ts';
import { number } from './config.ts';
import { CLEAN } from './prediction.ts';
import { defineScheduler } from './scheduler.ts';
import { sigmaLevel } from './sigma-space.ts';
import { adaptNetwork, trainedNetwork } from './ve-network.ts';

const NO_TERM: Term = [NaN, ''];

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
    // Rounded where diffusers rounds to float32.
    const { fround } = Math;
    const sigmas = Array.from({ length: steps }, (_, i) =>
      fround(max * fround(fround(min / max) ** fround(i / (steps - 1)))),
    );
    sigmas.push(0);

    // One operation per instruction: the first sigmas are so large that the rounding of each decides the result.
    function* estimateSlope(to: Register, from: Register, sigma: number): SamplerProgram {
      const [own = NO_TERM, ...others] = network.clean(from, sigma);
      yield network.run(from, sigma);
      yield { op: 'combine', to: 'rest', terms: others };
      yield { op: 'combine', to: CLEAN, terms: [own, [1, 'rest']] };
      yield {
        op: 'combine',
        to,
        terms: [
          [1, from],
          [-1, CLEAN],
        ],
      };
      yield { op: 'combine', to, terms: [[1 / sigma, to]] };
    }

    function* move(distance: number): SamplerProgram {
      yield { op: 'combine', to: 'distance', terms: [[fround(distance), 'slope']] };
      yield {
        op: 'combine',
        to: 'x',
        terms: [
          [1, 'raised'],
          [1, 'distance'],
        ],
      };
    }

    function* sample(index: number): SamplerProgram {
      for (let i = index; i < steps; i++) {
        const sigma = sigmas[i] ?? NaN;
        const next = sigmas[i + 1] ?? NaN;
        const churned = config.s_min <= sigma && sigma <= config.s_max;
        const raised = fround(
          sigma + sigma * (churned ? Math.min(config.s_churn / steps, Math.SQRT2 - 1) : 0),
        );
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
        yield* estimateSlope('slope', 'raised', raised);
        yield* move(next - raised);
        if (next > 0) {
          yield* estimateSlope('end slope', 'x', next);
          yield {
            op: 'combine',
            to: 'slope',
            terms: [
              [0.5, 'slope'],
              [0.5, 'end slope'],
            ],
          };
          yield* move(next - raised);
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
