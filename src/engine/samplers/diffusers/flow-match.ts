import { linspace } from '#engine/samplers/noise-schedule.ts';
import type { SamplerProgram, Term } from '#engine/samplers/program.ts';
import { AppError } from '#protocol/error.ts';
import { choice, count, flag, maybeNumber, number, sigmaCurves } from './config.ts';
import { CLEAN, cleanTerms, flowLevel, OUTPUT } from './prediction.ts';
import { defineScheduler } from './scheduler.ts';
import { shiftSigma, stretchToTerminal, timeShift } from './solver-steps.ts';
import { curveSigmas } from './timesteps.ts';

/**
 * Euler's method for rectified flows: latents are (1 − sigma) · clean + sigma · noise, the network predicts
 * noise − clean.
 * Source: Liu et al. 2022, "Flow Straight and Fast"; Esser et al. 2024 (shift); diffusers'
 * FlowMatchEulerDiscreteScheduler.
 */
export const flowMatchEulerDiscrete = defineScheduler(
  {
    ...sigmaCurves,
    num_train_timesteps: count(1000),
    shift: number(1),
    use_dynamic_shifting: flag(false),
    base_shift: number(0.5),
    max_shift: number(1.15),
    base_image_seq_len: count(256),
    max_image_seq_len: count(4096),
    invert_sigmas: flag(false),
    shift_terminal: maybeNumber,
    time_shift_type: choice('exponential', 'linear'),
    stochastic_sampling: flag(false),
  },
  (config, steps, options) => {
    const { num_train_timesteps: train, shift } = config;
    let lowest = 1 / train;
    let factor = shift;
    if (config.use_dynamic_shifting) {
      const mu = timeShift(config, options);
      factor = config.time_shift_type === 'linear' ? mu : Math.exp(mu);
    } else {
      lowest = shiftSigma(lowest, shift);
    }
    let sigmas = linspace(1, lowest, steps).map((sigma) => shiftSigma(sigma, factor));
    if (config.shift_terminal) sigmas = stretchToTerminal(sigmas, config.shift_terminal);
    sigmas = curveSigmas(config, steps, { min: sigmas.at(-1) ?? NaN, max: sigmas[0] ?? NaN }) ?? sigmas;
    // Inverted, sigma is the share of the clean latents.
    const inverted = config.invert_sigmas;
    if (inverted && config.stochastic_sampling) {
      throw new AppError('invalid_request', 'stochastic_sampling and invert_sigmas cannot be used together.');
    }
    sigmas = [...sigmas, 0].map((sigma) => Math.fround(inverted ? 1 - sigma : sigma));

    function* sample(index: number): SamplerProgram {
      for (let i = index; i < steps; i++) {
        const sigma = sigmas[i] ?? NaN;
        const next = sigmas[i + 1] ?? NaN;
        yield { op: 'denoise', from: 'x', to: OUTPUT, timestep: Math.fround(sigma * train), inputScale: 1 };
        const clean: Term[] = inverted
          ? [
              [1, 'x'],
              [1 - sigma, OUTPUT],
            ]
          : cleanTerms('flow_prediction', flowLevel(sigma), 'x');
        yield { op: 'combine', to: CLEAN, terms: clean };
        if (config.stochastic_sampling) {
          yield { op: 'noise', to: 'fresh' };
          yield {
            op: 'combine',
            to: 'x',
            terms: [
              [1 - next, CLEAN],
              [next, 'fresh'],
            ],
          };
        } else {
          yield {
            op: 'combine',
            to: 'x',
            terms: [
              [1, 'x'],
              [next - sigma, OUTPUT],
            ],
          };
        }
        yield { op: 'show', register: CLEAN, step: i - index + 1 };
      }
    }

    return {
      initNoiseSigma: 1,
      sigmas,
      levelAt: (index) => (inverted ? undefined : flowLevel(sigmas[index] ?? NaN)),
      steps,
      sample,
    };
  },
);

/**
 * Heun's method for rectified flows.
 * Source: Karras et al. 2022, algorithm 1 without churn; diffusers' FlowMatchHeunDiscreteScheduler.
 */
export const flowMatchHeunDiscrete = defineScheduler(
  { num_train_timesteps: count(1000), shift: number(1) },
  ({ num_train_timesteps: train, shift }, steps) => {
    const spaced = linspace(1, shiftSigma(1 / train, shift), steps).map((sigma) => shiftSigma(sigma, shift));
    const sigmas = [...spaced, 0].map(Math.fround);
    const timestepOf = (sigma: number) => Math.fround(sigma * train);

    function* sample(index: number): SamplerProgram {
      for (let i = index; i < steps; i++) {
        const sigma = sigmas[i] ?? NaN;
        const next = sigmas[i + 1] ?? NaN;
        const distance = next - sigma;
        yield { op: 'denoise', from: 'x', to: 'slope', timestep: timestepOf(sigma), inputScale: 1 };
        yield {
          op: 'combine',
          to: CLEAN,
          terms: [
            [1, 'x'],
            [-sigma, 'slope'],
          ],
        };
        if (next === 0) {
          yield {
            op: 'combine',
            to: 'x',
            terms: [
              [1, 'x'],
              [distance, 'slope'],
            ],
          };
        } else {
          yield {
            op: 'combine',
            to: 'end',
            terms: [
              [1, 'x'],
              [distance, 'slope'],
            ],
          };
          yield { op: 'denoise', from: 'end', to: OUTPUT, timestep: timestepOf(next), inputScale: 1 };
          yield {
            op: 'combine',
            to: CLEAN,
            terms: [
              [1, 'end'],
              [-next, OUTPUT],
            ],
          };
          yield {
            op: 'combine',
            to: 'x',
            terms: [
              [1, 'x'],
              [distance / 2, 'slope'],
              [distance / 2, OUTPUT],
            ],
          };
        }
        yield { op: 'show', register: CLEAN, step: i - index + 1 };
      }
    }

    return { initNoiseSigma: 1, sigmas, levelAt: (index) => flowLevel(sigmas[index] ?? NaN), steps, sample };
  },
);
