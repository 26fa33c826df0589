/** A k-diffusion sampler as infotexts name it. */
interface InfotextSampler {
  /** The engine's name. */
  id: string;
  label: string;
  /** The schedule it takes when none is chosen; without one, the model's own sigmas. */
  schedule?: string;
}

/**
 * The samplers that infotexts have names for, in the order of A1111's menus (modules/sd_samplers_kdiffusion.py,
 * modules/sd_samplers_timesteps.py, v1.10.1).
 */
export const INFOTEXT_SAMPLERS = [
  { id: 'dpmpp_2m', label: 'DPM++ 2M', schedule: 'karras' },
  { id: 'dpmpp_sde', label: 'DPM++ SDE', schedule: 'karras' },
  { id: 'dpmpp_2m_sde', label: 'DPM++ 2M SDE', schedule: 'exponential' },
  { id: 'dpmpp_2m_sde_heun', label: 'DPM++ 2M SDE Heun', schedule: 'exponential' },
  { id: 'dpmpp_2s_ancestral', label: 'DPM++ 2S a', schedule: 'karras' },
  { id: 'dpmpp_3m_sde', label: 'DPM++ 3M SDE', schedule: 'exponential' },
  { id: 'euler_ancestral', label: 'Euler a' },
  { id: 'euler', label: 'Euler' },
  { id: 'lms', label: 'LMS' },
  { id: 'heun', label: 'Heun' },
  { id: 'dpm_2', label: 'DPM2', schedule: 'karras' },
  { id: 'dpm_2_ancestral', label: 'DPM2 a', schedule: 'karras' },
  { id: 'dpm_fast', label: 'DPM fast' },
  { id: 'dpm_adaptive', label: 'DPM adaptive' },
  { id: 'restart', label: 'Restart', schedule: 'karras' },
  { id: 'ddim', label: 'DDIM' },
  { id: 'ddim_cfgpp', label: 'DDIM CFG++' },
  { id: 'plms', label: 'PLMS' },
  { id: 'unipc', label: 'UniPC' },
  { id: 'lcm', label: 'LCM' },
] as const satisfies readonly InfotextSampler[];

/** The engine's name of a sampler that infotexts have a name for. */
export type InfotextSamplerId = (typeof INFOTEXT_SAMPLERS)[number]['id'];

/** Schedules by the engine's names, as infotexts name them, in the order of A1111's menu (modules/sd_schedulers.py). */
export const INFOTEXT_SCHEDULES = {
  automatic: 'Automatic',
  uniform: 'Uniform',
  karras: 'Karras',
  exponential: 'Exponential',
  polyexponential: 'Polyexponential',
  sgm_uniform: 'SGM Uniform',
  kl_optimal: 'KL Optimal',
  align_your_steps: 'Align Your Steps',
  simple: 'Simple',
  normal: 'Normal',
  ddim: 'DDIM',
  beta: 'Beta',
} as const satisfies Readonly<Record<string, string>>;

/** The engine's name of a schedule that infotexts have a name for. */
export type InfotextScheduleId = keyof typeof INFOTEXT_SCHEDULES;
