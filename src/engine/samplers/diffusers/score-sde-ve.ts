import * as v from 'valibot';
import { linspaceFloat32 } from '#engine/samplers/noise-schedule.ts';
import type { Register, SamplerProgram, Term } from '#engine/samplers/program.ts';
import { count, number } from './config.ts';
import { CLEAN } from './prediction.ts';
import { defineScheduler } from './scheduler.ts';
import { sigmaLevel } from './sigma-space.ts';
import { adaptNetwork, trainedNetwork } from './ve-network.ts';

const { fround } = Math;

/**
 * Reverse diffusion with Langevin corrections; the result is the last step's mean.
 * Source: Song et al. 2021, "Score-Based Generative Modeling through SDEs", algorithms 2 and 4; diffusers'
 * ScoreSdeVeScheduler. A network trained otherwise brings its own range of sigmas.
 */
export const scoreSdeVe = defineScheduler(
  {
    num_train_timesteps: count(2000),
    snr: number(0.15),
    sigma_min: number(0.01),
    sigma_max: number(1348),
    sampling_eps: number(1e-5),
    correct_steps: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), 1),
  },
  (config, steps, options) => {
    const network = options.network
      ? adaptNetwork(options.network)
      : trainedNetwork({ min: config.sigma_min, max: config.sigma_max }, (sigma) => -sigma);
    const { min, max } = network.range;
    const discrete = linspaceFloat32(Math.log(min), Math.log(max), steps).map(Math.exp);
    const times = [...linspaceFloat32(1, config.sampling_eps, steps)];
    const levels = times.map((time) => {
      const index = Math.trunc(fround(time * (steps - 1)));
      return {
        // The network is given the sigma of the time; the step goes between sigmas of the table.
        told: options.network ? (discrete[index] ?? NaN) : fround(min * fround((max / min) ** time)),
        sigma: discrete[index] ?? NaN,
        next: index === 0 ? 0 : (discrete[index - 1] ?? NaN),
      };
    });

    /** The gradient of the log density at `x`. */
    function* score(sigma: number): SamplerProgram {
      yield network.run('x', sigma);
      yield { op: 'combine', to: 'score', terms: scaled(-1 / sigma, network.slope('x', sigma)) };
    }

    /** Adds a multiple of a register to `x`, each operation rounded as diffusers' are. */
    function* add(weight: number, register: Register): SamplerProgram {
      yield { op: 'combine', to: 'part', terms: [[fround(weight), register]] };
      yield {
        op: 'combine',
        to: 'x',
        terms: [
          [1, 'x'],
          [1, 'part'],
        ],
      };
    }

    function* sample(index: number): SamplerProgram {
      for (const [i, { told, sigma, next }] of levels.entries()) {
        if (i < index) continue;
        for (let correction = 0; correction < config.correct_steps; correction++) {
          yield* score(told);
          yield { op: 'noise', to: 'fresh' };
          const scoreNorm = (yield { op: 'norm', register: 'score' }) ?? NaN;
          const noiseNorm = (yield { op: 'norm', register: 'fresh' }) ?? NaN;
          const size = 2 * ((config.snr * noiseNorm) / scoreNorm) ** 2;
          yield* add(size, 'score');
          yield* add(Math.sqrt(2 * size), 'fresh');
        }
        yield* score(told);
        yield { op: 'combine', to: CLEAN, terms: network.clean('x', told) };
        const spread = fround(Math.sqrt(fround(fround(sigma ** 2) - fround(next ** 2))));
        yield* add(fround(spread ** 2), 'score');
        if (i < levels.length - 1) {
          yield { op: 'noise', to: 'fresh' };
          yield* add(spread, 'fresh');
        }
        yield { op: 'show', register: CLEAN, step: i - index + 1 };
      }
    }

    return {
      initNoiseSigma: max,
      sigmas: [...levels.map(({ sigma }) => sigma), 0],
      levelAt: (index) => sigmaLevel(levels[index]?.sigma),
      steps,
      sample,
    };
  },
);

/** Multiplies terms. */
function scaled(factor: number, terms: readonly Term[]): Term[] {
  return terms.map(([weight, register]) => [factor * weight, register]);
}
