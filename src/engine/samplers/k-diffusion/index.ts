import type { SamplerProgram } from '#engine/samplers/program.ts';
import { ddim, ddimCfgPlusPlus } from './ddim.ts';
import { ddpm } from './ddpm.ts';
import { dpm2, dpm2Ancestral } from './dpm-2.ts';
import { dpmAdaptive, dpmFast } from './dpm-solver.ts';
import { dpmpp2mSde, dpmpp2mSdeHeun } from './dpmpp-2m-sde.ts';
import { dpmpp2m } from './dpmpp-2m.ts';
import { dpmpp2sAncestral } from './dpmpp-2s-ancestral.ts';
import { dpmpp3mSde } from './dpmpp-3m-sde.ts';
import { dpmppSde } from './dpmpp-sde.ts';
import { eulerAncestral } from './euler-ancestral.ts';
import { euler } from './euler.ts';
import { heun } from './heun.ts';
import { heunpp2 } from './heunpp2.ts';
import { lcm } from './lcm.ts';
import { lms } from './lms.ts';
import { plms } from './plms.ts';
import { restart } from './restart.ts';
import type { SamplerRun } from './run.ts';
import type { SigmaScheduleName } from './sigma-schedules.ts';
import { tcd } from './tcd.ts';
import type { TimestepRun } from './timestep-run.ts';
import { uniPc, uniPcSigmas, uniPcSigmasBh2 } from './uni-pc.ts';

/** A sampler and what A1111's and Fooocus's tables say of it. */
export type KDiffusionDefinition = (
  | { over: 'sigmas'; program(run: SamplerRun): SamplerProgram; overRange?: boolean }
  | { over: 'timesteps'; levels: 'ddim' | 'time' | 'sigmas'; program(run: TimestepRun): SamplerProgram }
) & {
  /** What `automatic` stands for; without it the model's own levels, evenly spaced. */
  schedule?: SigmaScheduleName;
  /** Runs the network about twice a step. */
  secondOrder?: boolean;
  /** A1111 adds ENSD to the seed of its noise. */
  usesEnsd?: boolean;
  /** Which reference programs ask for one level more and leave the last but one out. */
  discardNextToLastSigma?: readonly ('a1111' | 'comfyui')[];
  /** Its noise only exists for diffusion: it cannot run flow-matching models. */
  diffusionOnly?: boolean;
};

const DPMPP_SDE = {
  over: 'sigmas',
  program: dpmppSde,
  schedule: 'karras',
  secondOrder: true,
  diffusionOnly: true,
} as const;

const DPMPP_2M_SDE = {
  over: 'sigmas',
  program: dpmpp2mSde,
  schedule: 'exponential',
  diffusionOnly: true,
} as const;

const DPMPP_3M_SDE = {
  over: 'sigmas',
  program: dpmpp3mSde,
  schedule: 'exponential',
  discardNextToLastSigma: ['a1111'],
  diffusionOnly: true,
} as const;

/** Every sampler of A1111 1.10 and of Fooocus under k-diffusion's, A1111's or Fooocus's own name. */
export const kDiffusionSamplers = {
  dpmpp_2m: { over: 'sigmas', program: dpmpp2m, schedule: 'karras' },
  dpmpp_sde: DPMPP_SDE,
  dpmpp_sde_gpu: DPMPP_SDE,
  dpmpp_2m_sde: DPMPP_2M_SDE,
  dpmpp_2m_sde_gpu: DPMPP_2M_SDE,
  dpmpp_2m_sde_heun: { ...DPMPP_2M_SDE, program: dpmpp2mSdeHeun },
  dpmpp_2s_ancestral: {
    over: 'sigmas',
    program: dpmpp2sAncestral,
    schedule: 'karras',
    secondOrder: true,
    usesEnsd: true,
  },
  dpmpp_3m_sde: DPMPP_3M_SDE,
  dpmpp_3m_sde_gpu: DPMPP_3M_SDE,
  euler: { over: 'sigmas', program: euler },
  euler_ancestral: { over: 'sigmas', program: eulerAncestral, usesEnsd: true },
  lms: { over: 'sigmas', program: lms },
  heun: { over: 'sigmas', program: heun, secondOrder: true },
  heunpp2: { over: 'sigmas', program: heunpp2 },
  dpm_2: {
    over: 'sigmas',
    program: dpm2,
    schedule: 'karras',
    secondOrder: true,
    discardNextToLastSigma: ['a1111', 'comfyui'],
  },
  dpm_2_ancestral: {
    over: 'sigmas',
    program: dpm2Ancestral,
    schedule: 'karras',
    secondOrder: true,
    usesEnsd: true,
    discardNextToLastSigma: ['a1111', 'comfyui'],
  },
  dpm_fast: { over: 'sigmas', program: dpmFast, overRange: true, usesEnsd: true },
  dpm_adaptive: { over: 'sigmas', program: dpmAdaptive, overRange: true, usesEnsd: true },
  restart: { over: 'sigmas', program: restart, schedule: 'karras', secondOrder: true },
  ddim: { over: 'timesteps', levels: 'ddim', program: ddim },
  ddim_cfgpp: { over: 'timesteps', levels: 'ddim', program: ddimCfgPlusPlus },
  plms: { over: 'timesteps', levels: 'ddim', program: plms },
  unipc: { over: 'timesteps', levels: 'time', program: uniPc },
  uni_pc: { over: 'timesteps', levels: 'sigmas', program: uniPcSigmas, discardNextToLastSigma: ['comfyui'] },
  uni_pc_bh2: {
    over: 'timesteps',
    levels: 'sigmas',
    program: uniPcSigmasBh2,
    discardNextToLastSigma: ['comfyui'],
  },
  lcm: { over: 'sigmas', program: lcm },
  tcd: { over: 'sigmas', program: tcd, diffusionOnly: true },
  ddpm: { over: 'sigmas', program: ddpm, diffusionOnly: true },
} as const satisfies Record<string, KDiffusionDefinition>;

/** Name of a sampler. */
export type KDiffusionSamplerName = keyof typeof kDiffusionSamplers;

/** Whether there is a sampler of this name. */
export function isKDiffusionSamplerName(name: string): name is KDiffusionSamplerName {
  return Object.hasOwn(kDiffusionSamplers, name);
}
