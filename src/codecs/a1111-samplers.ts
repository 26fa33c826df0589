/** A sampler of A1111 1.10 as `GET /samplers` lists it, and the engine's name of it. */
export interface SamplerEntry {
  name: string;
  aliases: readonly string[];
  options: Readonly<Record<string, string>>;
  /** Key of the engine's k-diffusion registry. */
  id: string;
}

/** In the order of the original: whatever is not found becomes the first. */
export const SAMPLERS = [
  { name: 'DPM++ 2M', aliases: ['k_dpmpp_2m'], options: { scheduler: 'karras' }, id: 'dpmpp_2m' },
  {
    name: 'DPM++ SDE',
    aliases: ['k_dpmpp_sde'],
    options: { scheduler: 'karras', second_order: 'True', brownian_noise: 'True' },
    id: 'dpmpp_sde',
  },
  {
    name: 'DPM++ 2M SDE',
    aliases: ['k_dpmpp_2m_sde'],
    options: { scheduler: 'exponential', brownian_noise: 'True' },
    id: 'dpmpp_2m_sde',
  },
  {
    name: 'DPM++ 2M SDE Heun',
    aliases: ['k_dpmpp_2m_sde_heun'],
    options: { scheduler: 'exponential', brownian_noise: 'True', solver_type: 'heun' },
    id: 'dpmpp_2m_sde_heun',
  },
  {
    name: 'DPM++ 2S a',
    aliases: ['k_dpmpp_2s_a'],
    options: { scheduler: 'karras', uses_ensd: 'True', second_order: 'True' },
    id: 'dpmpp_2s_ancestral',
  },
  {
    name: 'DPM++ 3M SDE',
    aliases: ['k_dpmpp_3m_sde'],
    options: { scheduler: 'exponential', discard_next_to_last_sigma: 'True', brownian_noise: 'True' },
    id: 'dpmpp_3m_sde',
  },
  {
    name: 'Euler a',
    aliases: ['k_euler_a', 'k_euler_ancestral'],
    options: { uses_ensd: 'True' },
    id: 'euler_ancestral',
  },
  { name: 'Euler', aliases: ['k_euler'], options: {}, id: 'euler' },
  { name: 'LMS', aliases: ['k_lms'], options: {}, id: 'lms' },
  { name: 'Heun', aliases: ['k_heun'], options: { second_order: 'True' }, id: 'heun' },
  {
    name: 'DPM2',
    aliases: ['k_dpm_2'],
    options: { scheduler: 'karras', discard_next_to_last_sigma: 'True', second_order: 'True' },
    id: 'dpm_2',
  },
  {
    name: 'DPM2 a',
    aliases: ['k_dpm_2_a'],
    options: {
      scheduler: 'karras',
      discard_next_to_last_sigma: 'True',
      uses_ensd: 'True',
      second_order: 'True',
    },
    id: 'dpm_2_ancestral',
  },
  { name: 'DPM fast', aliases: ['k_dpm_fast'], options: { uses_ensd: 'True' }, id: 'dpm_fast' },
  { name: 'DPM adaptive', aliases: ['k_dpm_ad'], options: { uses_ensd: 'True' }, id: 'dpm_adaptive' },
  {
    name: 'Restart',
    aliases: ['restart'],
    options: { scheduler: 'karras', second_order: 'True' },
    id: 'restart',
  },
  { name: 'DDIM', aliases: ['ddim'], options: {}, id: 'ddim' },
  { name: 'DDIM CFG++', aliases: ['ddim_cfgpp'], options: {}, id: 'ddim_cfgpp' },
  { name: 'PLMS', aliases: ['plms'], options: {}, id: 'plms' },
  { name: 'UniPC', aliases: ['unipc'], options: {}, id: 'unipc' },
  { name: 'LCM', aliases: ['k_lcm'], options: {}, id: 'lcm' },
] as const satisfies readonly SamplerEntry[];

/** A sigma schedule as `GET /schedulers` lists it; its name is the engine's too. */
export interface SchedulerEntry {
  name: string;
  label: string;
  aliases: readonly string[] | null;
  default_rho: number;
  need_inner_model: boolean;
}

const scheduler = (name: string, label: string, more: Partial<SchedulerEntry> = {}): SchedulerEntry => ({
  name,
  label,
  aliases: null,
  default_rho: -1,
  need_inner_model: false,
  ...more,
});

export const AUTOMATIC = scheduler('automatic', 'Automatic');

export const SCHEDULERS: readonly SchedulerEntry[] = [
  AUTOMATIC,
  scheduler('uniform', 'Uniform', { need_inner_model: true }),
  scheduler('karras', 'Karras', { default_rho: 7 }),
  scheduler('exponential', 'Exponential'),
  scheduler('polyexponential', 'Polyexponential', { default_rho: 1 }),
  scheduler('sgm_uniform', 'SGM Uniform', { need_inner_model: true, aliases: ['SGMUniform'] }),
  scheduler('kl_optimal', 'KL Optimal'),
  scheduler('align_your_steps', 'Align Your Steps'),
  scheduler('simple', 'Simple', { need_inner_model: true }),
  scheduler('normal', 'Normal', { need_inner_model: true }),
  scheduler('ddim', 'DDIM', { need_inner_model: true }),
  scheduler('beta', 'Beta', { need_inner_model: true }),
];

/** The schedule of this name, label or alias; upper and lower case are the same. */
export function findScheduler(name: string): SchedulerEntry | undefined {
  const wanted = name.trim().toLowerCase();
  return SCHEDULERS.find((entry) =>
    [entry.name, entry.label, ...(entry.aliases ?? [])].some((own) => own.toLowerCase() === wanted),
  );
}

export function findSampler(name: string): SamplerEntry | undefined {
  const wanted = name.trim().toLowerCase();
  return SAMPLERS.find((entry) => [entry.name, ...entry.aliases].some((own) => own.toLowerCase() === wanted));
}

/** `DPM++ 2M Karras`, as it was written before schedules had a field of their own, in its two parts. */
export function splitLegacyName(name: string): { sampler: string; scheduler: SchedulerEntry | null } {
  for (const entry of SCHEDULERS) {
    for (const ending of [entry.label, entry.name, ...(entry.aliases ?? [])]) {
      if (name.endsWith(` ${ending}`))
        return { sampler: name.slice(0, -ending.length - 1), scheduler: entry };
    }
  }
  return { sampler: name, scheduler: null };
}
