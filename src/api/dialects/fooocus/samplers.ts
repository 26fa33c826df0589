import type { KDiffusionSampler } from '#protocol/sampler.ts';

/** A sampler name of Fooocus: the engine's program, and A1111's name for it, where it has one. */
interface Sampler {
  program: string;
  a1111?: string;
}

/** All sampler names, in Fooocus's order. The `_gpu` ones only say where their noise is drawn. */
export const samplers = {
  euler: { program: 'euler', a1111: 'Euler' },
  euler_ancestral: { program: 'euler_ancestral', a1111: 'Euler a' },
  heun: { program: 'heun', a1111: 'Heun' },
  heunpp2: { program: 'heunpp2' },
  dpm_2: { program: 'dpm_2', a1111: 'DPM2' },
  dpm_2_ancestral: { program: 'dpm_2_ancestral', a1111: 'DPM2 a' },
  lms: { program: 'lms', a1111: 'LMS' },
  dpm_fast: { program: 'dpm_fast', a1111: 'DPM fast' },
  dpm_adaptive: { program: 'dpm_adaptive', a1111: 'DPM adaptive' },
  dpmpp_2s_ancestral: { program: 'dpmpp_2s_ancestral', a1111: 'DPM++ 2S a' },
  dpmpp_sde: { program: 'dpmpp_sde', a1111: 'DPM++ SDE' },
  dpmpp_sde_gpu: { program: 'dpmpp_sde', a1111: 'DPM++ SDE' },
  dpmpp_2m: { program: 'dpmpp_2m', a1111: 'DPM++ 2M' },
  dpmpp_2m_sde: { program: 'dpmpp_2m_sde', a1111: 'DPM++ 2M SDE' },
  dpmpp_2m_sde_gpu: { program: 'dpmpp_2m_sde', a1111: 'DPM++ 2M SDE' },
  dpmpp_3m_sde: { program: 'dpmpp_3m_sde' },
  dpmpp_3m_sde_gpu: { program: 'dpmpp_3m_sde' },
  ddpm: { program: 'ddpm' },
  lcm: { program: 'lcm', a1111: 'LCM' },
  tcd: { program: 'tcd', a1111: 'TCD' },
  restart: { program: 'restart', a1111: 'Restart' },
  ddim: { program: 'ddim', a1111: 'DDIM' },
  uni_pc: { program: 'unipc', a1111: 'UniPC' },
  uni_pc_bh2: { program: 'unipc' },
} as const satisfies Record<string, Sampler>;

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

/** These take one step more and leave out the last but one noise level (ComfyUI's `KSampler.calculate_sigmas`). */
const discardsPenultimate: ReadonlySet<FooocusSampler> = new Set([
  'dpm_2',
  'dpm_2_ancestral',
  'uni_pc',
  'uni_pc_bh2',
]);

/** The engine's sampler for a pair of Fooocus names. */
export function chooseSampler(name: FooocusSampler, schedule: FooocusSchedule): KDiffusionSampler {
  return {
    family: 'k-diffusion',
    sampler: samplers[name].program,
    schedule,
    options: {
      reference: 'comfyui',
      // ComfyUI adds variances where a run starts at the model's highest noise; `ddim_uniform` starts below it.
      sgmNoiseMultiplier: schedule !== 'ddim_uniform',
      ...(discardsPenultimate.has(name) && { discardNextToLastSigma: true }),
      ...(name === 'uni_pc' && { uniPcVariant: 'bh1' }),
      ...(name === 'uni_pc_bh2' && { uniPcVariant: 'bh2' }),
    },
  };
}

/** A pair of names as Fooocus writes it in A1111's metadata: with ` Karras`, even where A1111 has no such sampler. */
export function labelForA1111(name: FooocusSampler, schedule: FooocusSchedule): string {
  const sampler: Sampler = samplers[name];
  if (sampler.a1111 === undefined) return name;
  return schedule === 'karras' ? `${sampler.a1111} Karras` : sampler.a1111;
}
