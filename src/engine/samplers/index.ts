import { AppError } from '#protocol/error.ts';
import type { KDiffusionSampler, SamplerChoice } from '#protocol/sampler.ts';
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
    throw new AppError('invalid_request', `The strength must lie between 0 and 1, not at ${start.strength}.`);
  }
  switch (choice.family) {
    case 'k-diffusion':
      return summarizeKDiffusion(choice, model, steps, start);
    case 'diffusers':
      throw new AppError('unsupported_feature', 'The diffusers schedulers are not wired yet.');
  }
}

/** What the tolerance check of an adaptive sampler is told while it is only being looked at. */
const TYPICAL_ERROR = 0.5;

/** Goes through the program once without a network, to see what it does. */
function summarizeKDiffusion(
  choice: KDiffusionSampler,
  model: NoiseModel,
  steps: number,
  start: SamplingStart,
): SamplingPlan {
  const run = planKDiffusion(choice, model, steps, start);
  const plan: SamplingPlan = {
    program: () => run.program(),
    sigmas: [],
    timesteps: [],
    evaluations: 0,
    steps: 0,
    deterministic: true,
    brownian: false,
    adaptive: run.adaptive,
    usesEnsd: run.usesEnsd,
    schedule: run.schedule,
  };
  let sigma = 0;
  let stepBegins = true;
  const program = run.program((evaluated) => (sigma = evaluated));
  for (let next = program.next(); !next.done; next = program.next(TYPICAL_ERROR)) {
    const instruction = next.value;
    switch (instruction.op) {
      case 'denoise':
        if (stepBegins) plan.sigmas.push(sigma);
        stepBegins = false;
        plan.timesteps.push(instruction.timestep);
        plan.evaluations++;
        break;
      case 'show':
        stepBegins = true;
        plan.steps = instruction.step;
        break;
      case 'noise':
      case 'brownian':
        plan.deterministic = false;
        plan.brownian ||= instruction.op === 'brownian';
        break;
    }
  }
  plan.sigmas.push(run.finalSigma);
  return plan;
}
