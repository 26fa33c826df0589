import * as v from 'valibot';
import { linspace, sigmasOf, timestepOfSigma } from '#engine/samplers/noise-schedule.ts';
import type { Register, SamplerProgram, Term } from '#engine/samplers/program.ts';
import { AppError } from '#protocol/error.ts';
import { adamsBashforth } from './adams-bashforth.ts';
import { count } from './config.ts';
import { CLEAN, noiseTerms, OUTPUT, type NoiseLevel } from './prediction.ts';
import { defineScheduler } from './scheduler.ts';

/**
 * Fourth-order pseudo linear multistep method on a schedule of its own, made for networks that predict v and take
 * a time from 1 to 0. Other networks are given the timestep of their training with the same noise, and begin
 * at the noisiest one.
 * Source: Liu et al. 2022; crowsonkb's v-diffusion-pytorch; diffusers' IPNDMScheduler.
 */
export const ipndm = defineScheduler(
  { num_train_timesteps: count(1000), trained_betas: v.optional(v.array(v.number())) },
  (config, steps, { network }) => {
    if (config.trained_betas && config.trained_betas.length !== steps + 1) {
      throw new AppError(
        'invalid_request',
        `IPNDM needs one beta per step and a final one: send ${steps + 1} trained_betas.`,
      );
    }
    const trainingSigmas = network ? sigmasOf(network.alphas) : undefined;
    const start = trainingSigmas ? timeOfRatio(trainingSigmas.at(-1) ?? NaN) : 1;
    const betas =
      config.trained_betas ??
      linspace(start, 0, steps + 1).map((time) => Math.sin((time * Math.PI) / 2) ** 2);
    const levels: NoiseLevel[] = betas.map(Math.fround).map((sigma) => ({
      alpha: Math.sqrt(1 - Math.fround(sigma * sigma)),
      sigma,
    }));
    const logSigmas = trainingSigmas?.map(Math.log);
    const timestepOf = ({ alpha, sigma }: NoiseLevel) =>
      logSigmas
        ? timestepOfSigma(sigma / alpha, logSigmas)
        : Math.fround((Math.atan2(sigma, alpha) / Math.PI) * 2);

    function* sample(index: number): SamplerProgram {
      const slopes: Register[] = [];
      for (let i = index; i < steps; i++) {
        const level = levels[i] ?? { alpha: NaN, sigma: NaN };
        const next = levels[i + 1] ?? { alpha: NaN, sigma: NaN };
        yield { op: 'denoise', from: 'x', to: OUTPUT, timestep: timestepOf(level), inputScale: 1 };
        const slope = slopes.length < 4 ? `slope${slopes.length}` : (slopes.pop() ?? '');
        slopes.unshift(slope);
        yield {
          op: 'combine',
          to: slope,
          terms: noiseTerms(network?.prediction ?? 'v_prediction', level, 'x'),
        };
        yield { op: 'combine', to: 'eps', terms: adamsBashforth(slopes) };
        // Pure noise contains nothing of the image.
        const clean: Term[] =
          level.alpha === 0
            ? []
            : [
                [1 / level.alpha, 'x'],
                [-level.sigma / level.alpha, 'eps'],
              ];
        yield { op: 'combine', to: CLEAN, terms: clean };
        yield {
          op: 'combine',
          to: 'x',
          terms: [
            [next.alpha, CLEAN],
            [next.sigma, 'eps'],
          ],
        };
        yield { op: 'show', register: CLEAN, step: i - index + 1 };
      }
    }

    return {
      initNoiseSigma: 1,
      sigmas: levels.map(({ alpha, sigma }) => sigma / alpha),
      levelAt: (index) => levels[index],
      steps,
      sample,
    };
  },
);

/** The time whose noise is `ratio` times its signal. */
function timeOfRatio(ratio: number): number {
  const sigma = ratio / Math.sqrt(1 + ratio * ratio);
  return (Math.asin(Math.sqrt(sigma)) / Math.PI) * 2;
}
