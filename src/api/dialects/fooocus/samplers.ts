import type { KDiffusionSampler } from '#protocol/sampler.ts';

/**
 * All sampler names, in Fooocus's order, with A1111's names for them where it has one. The engine knows them under
 * the same names; the `_gpu` ones only say where their noise is generated.
 */
export const samplers = {
  euler: 'Euler',
  euler_ancestral: 'Euler a',
  heun: 'Heun',
  heunpp2: null,
  dpm_2: 'DPM2',
  dpm_2_ancestral: 'DPM2 a',
  lms: 'LMS',
  dpm_fast: 'DPM fast',
  dpm_adaptive: 'DPM adaptive',
  dpmpp_2s_ancestral: 'DPM++ 2S a',
  dpmpp_sde: 'DPM++ SDE',
  dpmpp_sde_gpu: 'DPM++ SDE',
  dpmpp_2m: 'DPM++ 2M',
  dpmpp_2m_sde: 'DPM++ 2M SDE',
  dpmpp_2m_sde_gpu: 'DPM++ 2M SDE',
  dpmpp_3m_sde: null,
  dpmpp_3m_sde_gpu: null,
  ddpm: null,
  lcm: 'LCM',
  tcd: 'TCD',
  restart: 'Restart',
  ddim: 'DDIM',
  uni_pc: 'UniPC',
  uni_pc_bh2: null,
} as const satisfies Record<string, string | null>;

export type FooocusSampler = keyof typeof samplers;

/** All scheduler names, in Fooocus's order; the engine's schedules have the same. */
export const schedules = [
  'normal',
  'karras',
  'exponential',
  'sgm_uniform',
  'simple',
  'ddim_uniform',
  'lcm',
  'turbo',
  'align_your_steps',
  'tcd',
  'edm_playground_v2.5',
] as const;

export type FooocusSchedule = (typeof schedules)[number];

export function isSampler(name: string): name is FooocusSampler {
  return Object.hasOwn(samplers, name);
}

export function isSchedule(name: string): name is FooocusSchedule {
  return schedules.some((schedule) => schedule === name);
}

/** The engine's sampler for a pair of Fooocus names. */
export function chooseSampler(sampler: FooocusSampler, schedule: FooocusSchedule): KDiffusionSampler {
  return { family: 'k-diffusion', sampler, schedule, options: { reference: 'comfyui' } };
}

/** A pair of names as Fooocus writes it in A1111's metadata: with ` Karras`, even where A1111 has no such sampler. */
export function labelForA1111(sampler: FooocusSampler, schedule: FooocusSchedule): string {
  const label = samplers[sampler];
  if (label === null) return sampler;
  return schedule === 'karras' ? `${label} Karras` : label;
}
