import { AppError } from '#protocol/error.ts';
import type { DiffusersSampler } from '#protocol/sampler.ts';
import { ddim } from './ddim.ts';
import { dpmSolverMultistep } from './dpm-solver-multistep.ts';
import { eulerAncestralDiscrete } from './euler-ancestral.ts';
import { eulerDiscrete } from './euler.ts';
import type { DiffusersPlan, DiffusersRunOptions, DiffusersScheduler, SchedulerConfig } from './scheduler.ts';

/** Schedulers by the name of their class in diffusers. */
export const diffusersSchedulers = {
  DDIMScheduler: ddim,
  DPMSolverMultistepScheduler: dpmSolverMultistep,
  EulerAncestralDiscreteScheduler: eulerAncestralDiscrete,
  EulerDiscreteScheduler: eulerDiscrete,
} as const satisfies Record<string, DiffusersScheduler>;

export type DiffusersSchedulerName = keyof typeof diffusersSchedulers;

/** Whether diffusers has a scheduler class of this name that the engine runs. */
export function isDiffusersSchedulerName(name: string): name is DiffusersSchedulerName {
  return Object.hasOwn(diffusersSchedulers, name);
}

/**
 * Works out a run of a diffusers scheduler for a model, as `Scheduler.from_config(model's, **overrides)` would:
 * keys of the model's configuration that only other schedulers know do not count.
 * @param model the model's `scheduler_config.json`
 * @throws AppError `invalid_request` for unknown schedulers, overrides the scheduler has no such key for and
 *   impossible values; `unsupported_feature` for what the scheduler or the engine cannot run
 */
export function planDiffusers(
  choice: DiffusersSampler,
  model: SchedulerConfig,
  steps: number,
  options: DiffusersRunOptions,
): DiffusersPlan {
  const { scheduler: name, config: overrides } = choice;
  if (!isDiffusersSchedulerName(name)) {
    throw new AppError(
      'invalid_request',
      `There is no scheduler ${name}. Known are ${Object.keys(diffusersSchedulers).join(', ')}.`,
    );
  }
  const scheduler = diffusersSchedulers[name];
  const config: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(model)) {
    if (BOOKKEEPING.test(key)) continue;
    if (Object.hasOwn(scheduler.defaults, key)) config[key] = value;
    else if (!knownKeys.has(key)) {
      throw new AppError(
        'unsupported_feature',
        `The model's scheduler configuration has an unknown key: ${key}.`,
      );
    }
  }
  return scheduler.plan({ ...config, ...overrides }, steps, options);
}

/** diffusers' notes to itself: `_class_name`, `_diffusers_version` … */
const BOOKKEEPING = /^_/;

const knownKeys = new Set(
  Object.values(diffusersSchedulers).flatMap(({ defaults }) => Object.keys(defaults)),
);
