import { AppError } from '#protocol/error.ts';
import type { DiffusersSampler } from '#protocol/sampler.ts';
import { readNetworkTraining } from './config.ts';
import { ddimInverse } from './ddim-inverse.ts';
import { ddim } from './ddim.ts';
import { ddpm } from './ddpm.ts';
import { deisMultistep } from './deis.ts';
import { dpmSolverMultistep } from './dpm-solver-multistep.ts';
import { dpmSolverSinglestep } from './dpm-solver-singlestep.ts';
import { eulerAncestralDiscrete } from './euler-ancestral.ts';
import { eulerDiscrete } from './euler.ts';
import { flowMatchEulerDiscrete, flowMatchHeunDiscrete } from './flow-match.ts';
import { heunDiscrete } from './heun.ts';
import { ipndm } from './ipndm.ts';
import { karrasVe } from './karras-ve.ts';
import { kdpm2AncestralDiscrete, kdpm2Discrete } from './kdpm2.ts';
import { lcm } from './lcm.ts';
import { lmsDiscrete } from './lms.ts';
import { pndm } from './pndm.ts';
import { scoreSdeVe } from './score-sde-ve.ts';
import { uniPcMultistep } from './unipc.ts';
import type { DiffusersPlan, DiffusersRunOptions, DiffusersScheduler, SchedulerConfig } from './scheduler.ts';

/** Schedulers by the name of their class in diffusers. */
export const diffusersSchedulers = {
  DDIMInverseScheduler: ddimInverse,
  DDIMScheduler: ddim,
  DDPMScheduler: ddpm,
  DEISMultistepScheduler: deisMultistep,
  DPMSolverMultistepScheduler: dpmSolverMultistep,
  DPMSolverSinglestepScheduler: dpmSolverSinglestep,
  EulerAncestralDiscreteScheduler: eulerAncestralDiscrete,
  EulerDiscreteScheduler: eulerDiscrete,
  FlowMatchEulerDiscreteScheduler: flowMatchEulerDiscrete,
  FlowMatchHeunDiscreteScheduler: flowMatchHeunDiscrete,
  HeunDiscreteScheduler: heunDiscrete,
  IPNDMScheduler: ipndm,
  KarrasVeScheduler: karrasVe,
  KDPM2AncestralDiscreteScheduler: kdpm2AncestralDiscrete,
  KDPM2DiscreteScheduler: kdpm2Discrete,
  LCMScheduler: lcm,
  LMSDiscreteScheduler: lmsDiscrete,
  PNDMScheduler: pndm,
  ScoreSdeVeScheduler: scoreSdeVe,
  UniPCMultistepScheduler: uniPcMultistep,
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
  const scheduler: DiffusersScheduler = diffusersSchedulers[name];
  const flow = isFlowModel(model);
  const config: Record<string, unknown> = flow ? adaptToFlow(name, model) : {};
  if (!flow && name.startsWith('FlowMatch')) {
    throw new AppError(
      'unsupported_feature',
      `${name} only runs flow-matching models, and this is a diffusion model. Choose another scheduler.`,
    );
  }
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
  const network = flow ? {} : { network: readNetworkTraining(model) };
  return scheduler.plan({ ...config, ...overrides }, steps, { ...network, ...options });
}

function isFlowModel(model: SchedulerConfig): boolean {
  return (
    String(model._class_name).startsWith('FlowMatch') ||
    model.prediction_type === 'flow_prediction' ||
    model.use_flow_sigmas === true
  );
}

/** What a scheduler for both kinds of model must be set to for flow matching. */
function adaptToFlow(name: DiffusersSchedulerName, model: SchedulerConfig): Record<string, unknown> {
  const { defaults } = diffusersSchedulers[name];
  if (name.startsWith('FlowMatch')) return {};
  if (!Object.hasOwn(defaults, 'use_flow_sigmas')) {
    throw new AppError(
      'unsupported_feature',
      `${name} only runs diffusion models, and this is a flow-matching model. Choose another scheduler.`,
    );
  }
  return { use_flow_sigmas: true, prediction_type: 'flow_prediction', flow_shift: model.shift ?? 1 };
}

/** diffusers' notes to itself: `_class_name`, `_diffusers_version` … */
const BOOKKEEPING = /^_/;

const knownKeys = new Set(
  Object.values(diffusersSchedulers).flatMap(({ defaults }) => Object.keys(defaults)),
);
