import type { SamplerProgram } from '#engine/samplers/program.ts';
import { ddim, ddimCfgPlusPlus } from './ddim.ts';
import { dpmpp2m } from './dpmpp-2m.ts';
import { eulerAncestral } from './euler-ancestral.ts';
import { euler } from './euler.ts';
import type { SamplerRun } from './run.ts';
import type { SigmaScheduleName } from './sigma-schedules.ts';
import type { TimestepRun } from './timestep-run.ts';

/** A sampler and what A1111's and Fooocus's tables say of it. */
export type KDiffusionDefinition = (
  | { over: 'sigmas'; program(run: SamplerRun): SamplerProgram; overRange?: boolean }
  | { over: 'timesteps'; levels: 'ddim' | 'time' | 'sigmas'; program(run: TimestepRun): SamplerProgram }
) & {
  /** What `automatic` stands for; without it the model's own levels, evenly spaced. */
  schedule?: SigmaScheduleName;
  /** Runs the network about twice a step. */
  secondOrder?: boolean;
  /** Its noise is a Brownian path over sigma, one per seed, instead of draws from the stream. */
  brownian?: boolean;
  /** A1111 adds ENSD to the seed of its noise. */
  usesEnsd?: boolean;
  /** Which reference programs ask for one level more and leave the last but one out. */
  discardNextToLastSigma?: readonly ('a1111' | 'comfyui')[];
  /** Its noise only exists for diffusion: it cannot run flow-matching models. */
  diffusionOnly?: boolean;
  /** It chooses its own step sizes from the picture, and so must run pictures one at a time. */
  adaptive?: boolean;
};

/** Every sampler of A1111 1.10 and of Fooocus under k-diffusion's, A1111's or Fooocus's own name. */
export const kDiffusionSamplers = {
  euler: { over: 'sigmas', program: euler },
  euler_ancestral: { over: 'sigmas', program: eulerAncestral, usesEnsd: true },
  dpmpp_2m: { over: 'sigmas', program: dpmpp2m, schedule: 'karras' },
  ddim: { over: 'timesteps', levels: 'ddim', program: ddim },
  ddim_cfgpp: { over: 'timesteps', levels: 'ddim', program: ddimCfgPlusPlus },
} as const satisfies Record<string, KDiffusionDefinition>;

/** Name of a sampler. */
export type KDiffusionSamplerName = keyof typeof kDiffusionSamplers;

/** Whether there is a sampler of this name. */
export function isKDiffusionSamplerName(name: string): name is KDiffusionSamplerName {
  return Object.hasOwn(kDiffusionSamplers, name);
}
