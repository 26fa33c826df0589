import type { Register, SamplerProgram, Term } from '#engine/samplers/program.ts';
import { AppError } from '#protocol/error.ts';
import { alphasOf, choice, entryAt, flag, leadingSpacing, training } from './config.ts';
import { CLEAN, cleanTerms, levelOfAlpha, OUTPUT } from './prediction.ts';
import { adamsBashforth } from './adams-bashforth.ts';
import { defineScheduler } from './scheduler.ts';
import { noiseRatios, spaceWholeTimesteps } from './timesteps.ts';

/**
 * Pseudo linear multistep method, begun with Runge–Kutta steps or, as Stable Diffusion does, one of Heun's.
 * Source: Liu et al. 2022, "Pseudo Numerical Methods for Diffusion Models on Manifolds"; diffusers' PNDMScheduler.
 */
export const pndm = defineScheduler(
  {
    ...training('linear', 'scaled_linear', 'squaredcos_cap_v2'),
    ...leadingSpacing,
    skip_prk_steps: flag(false),
    set_alpha_to_one: flag(false),
    prediction_type: choice('epsilon', 'v_prediction'),
  },
  (config, steps) => {
    const prediction = config.prediction_type;
    const table = alphasOf(config);
    const finalAlpha = config.set_alpha_to_one ? 1 : entryAt(table, 0);
    const alphaAt = (timestep: number) => (timestep < 0 ? finalAlpha : entryAt(table, timestep));
    const stride = Math.floor(config.num_train_timesteps / steps);
    const spaced = spaceWholeTimesteps(config, steps);
    if (!config.skip_prk_steps && steps < 4) {
      throw new AppError(
        'invalid_request',
        'The Runge–Kutta start of PNDM needs 4 or more steps: set skip_prk_steps.',
      );
    }
    const rungeKutta = config.skip_prk_steps ? [] : rungeKuttaTimesteps(spaced, Math.floor(stride / 2));
    // Heun's step runs the network at the second timestep twice.
    const linear = config.skip_prk_steps ? [...spaced.slice(0, 2), ...spaced.slice(1)] : spaced.slice(3);
    const timesteps = [...rungeKutta, ...linear];

    /** Brings latents in `from` from one timestep to another along the network output in `output`. */
    function* transfer(from: Register, output: Register, timestep: number, to: number): SamplerProgram {
      const now = alphaAt(timestep);
      const then = alphaAt(to);
      const weight = (now - then) / (now * Math.sqrt(1 - then) + Math.sqrt(now * (1 - now) * then));
      const latents = Math.sqrt(then / now);
      const terms: Term[] =
        prediction === 'epsilon'
          ? [
              [latents, from],
              [weight, output],
            ]
          : [
              [latents + weight * Math.sqrt(1 - now), from],
              [weight * Math.sqrt(now), output],
            ];
      yield { op: 'combine', to: 'x', terms };
    }

    function* sample(index: number): SamplerProgram {
      if (index > 0 && rungeKutta.length > 0) {
        throw new AppError(
          'unsupported_feature',
          'The Runge–Kutta start of PNDM cannot start from an image: set skip_prk_steps.',
        );
      }
      const outputs: Register[] = [];
      for (const [i, timestep] of timesteps.slice(index).entries()) {
        yield { op: 'denoise', from: 'x', to: OUTPUT, timestep, inputScale: 1 };
        yield {
          op: 'combine',
          to: CLEAN,
          terms: cleanTerms(prediction, levelOfAlpha(alphaAt(timestep)), 'x'),
        };
        const stage = i % 4;
        if (i < rungeKutta.length) {
          if (stage === 0) {
            yield* remember(outputs);
            yield { op: 'combine', to: 'start', terms: [[1, 'x']] };
          }
          const mixed: Term[] = [[STAGE_WEIGHTS[stage] ?? NaN, OUTPUT]];
          yield { op: 'combine', to: 'mixed', terms: stage === 0 ? mixed : [[1, 'mixed'], ...mixed] };
          const target = stage % 2 === 0 ? timestep - Math.floor(stride / 2) : timestep;
          yield* transfer('start', stage === 3 ? 'mixed' : OUTPUT, rungeKutta[i - stage] ?? NaN, target);
        } else if (i === 0) {
          yield* remember(outputs);
          yield { op: 'combine', to: 'start', terms: [[1, 'x']] };
          yield* transfer('x', OUTPUT, timestep, timestep - stride);
        } else if (i === 1) {
          yield {
            op: 'combine',
            to: 'mixed',
            terms: [
              [0.5, OUTPUT],
              [0.5, outputs[0] ?? OUTPUT],
            ],
          };
          yield* transfer('start', 'mixed', timestep + stride, timestep);
        } else {
          yield* remember(outputs);
          yield { op: 'combine', to: 'mixed', terms: adamsBashforth(outputs) };
          yield* transfer('x', 'mixed', timestep, timestep - stride);
        }
        yield { op: 'show', register: CLEAN, step: i + 1 };
      }
    }

    return {
      initNoiseSigma: 1,
      sigmas: noiseRatios([...timesteps.map(alphaAt), finalAlpha]),
      levelAt: (index) => levelOfAlpha(alphaAt(timesteps[index] ?? NaN)),
      steps,
      sample,
    };
  },
);

/** Shares of the four outputs of a Runge–Kutta step. */
const STAGE_WEIGHTS = [1 / 6, 1 / 3, 1 / 3, 1 / 6];

/** Three Runge–Kutta steps over the four noisiest timesteps, each with two runs in the middle. */
function rungeKuttaTimesteps(timesteps: readonly number[], half: number): number[] {
  return [0, 1, 2].flatMap((i) => {
    const [from = NaN, to = NaN] = timesteps.slice(i, i + 2);
    return [from, to + half, to + half, to];
  });
}

/** Keeps the output in a register of its own; `outputs` names up to four, newest first. */
function* remember(outputs: Register[]): SamplerProgram {
  const register = outputs.length < 4 ? `past${outputs.length}` : (outputs.pop() ?? OUTPUT);
  outputs.unshift(register);
  yield { op: 'combine', to: register, terms: [[1, OUTPUT]] };
}
