import { AppError } from '#protocol/error.ts';
import type { SamplerChoice } from '#protocol/sampler.ts';
import { planDiffusers } from './diffusers/index.ts';
import { planKDiffusion } from './k-diffusion/plan.ts';
import type { NoiseModel } from './noise-model.ts';
import type { SamplingPlan, SamplingStart } from './sampling-plan.ts';

/**
 * Works out a run: which program, over which noise levels, at what cost.
 * @param steps as the request has it
 * @throws AppError `invalid_request` for samplers, schedules and values that do not exist,
 * `unsupported_feature` for a sampler that cannot run this kind of model
 */
export function planSampling(
  choice: SamplerChoice,
  model: NoiseModel,
  steps: number,
  start: SamplingStart = { from: 'noise' },
): SamplingPlan {
  if (!Number.isInteger(steps) || steps < 1) {
    throw new AppError(
      'invalid_request',
      `The number of steps must be a whole number above 0, not ${steps}.`,
    );
  }
  if (start.from === 'init' && !(start.strength >= 0 && start.strength <= 1)) {
    throw new AppError('invalid_request', `The strength must be between 0 and 1, not ${start.strength}.`);
  }
  if (choice.family === 'k-diffusion') return planKDiffusion(choice, model, steps, start);
  // diffusers has no way to ask for the steps after the cut: ask for so many that they are left.
  const exact = start.from === 'init' && start.exactSteps === true && start.strength > 0;
  const total = exact ? Math.ceil(steps / start.strength) : steps;
  const { eta } = choice;
  const options = { start, ...(eta !== undefined && { eta }) };
  const plan = planDiffusers(choice, model.schedulerConfig, total, options);
  return {
    ...plan,
    brownianRange: null,
    evaluations: plan.timesteps.length,
    usesEnsd: false,
    trainingSigmas: null,
    expectedCalls: plan.timesteps.length,
    schedule: null,
  };
}
