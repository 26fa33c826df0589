/** A sampler as people know it from A1111. */
export interface SamplerOption {
  /** The engine's name. */
  id: string;
  label: string;
  /** Schedule it takes when left to itself, under A1111's label. */
  automaticSchedule: string;
  /** What it is good for, in a few words. */
  note: string;
}

export interface ScheduleOption {
  id: string;
  label: string;
}

/** A1111's samplers, in its order. */
export const samplers: readonly SamplerOption[] = [
  {
    id: 'dpmpp_2m',
    label: 'DPM++ 2M',
    automaticSchedule: 'Karras',
    note: 'Quick and clean: a good first choice.',
  },
  {
    id: 'dpmpp_sde',
    label: 'DPM++ SDE',
    automaticSchedule: 'Karras',
    note: 'Rich detail in few steps, each twice as dear.',
  },
  {
    id: 'dpmpp_2m_sde',
    label: 'DPM++ 2M SDE',
    automaticSchedule: 'Exponential',
    note: 'Detail of SDE at the price of 2M.',
  },
  {
    id: 'dpmpp_2m_sde_heun',
    label: 'DPM++ 2M SDE Heun',
    automaticSchedule: 'Exponential',
    note: 'A softer 2M SDE.',
  },
  {
    id: 'dpmpp_2s_ancestral',
    label: 'DPM++ 2S a',
    automaticSchedule: 'Karras',
    note: 'Keeps changing with more steps.',
  },
  {
    id: 'dpmpp_3m_sde',
    label: 'DPM++ 3M SDE',
    automaticSchedule: 'Exponential',
    note: 'Third order: shines from 30 steps on.',
  },
  {
    id: 'euler_ancestral',
    label: 'Euler a',
    automaticSchedule: 'Automatic',
    note: 'Soft and inventive; every step count differs.',
  },
  { id: 'euler', label: 'Euler', automaticSchedule: 'Automatic', note: 'The plainest solver: predictable.' },
  { id: 'lms', label: 'LMS', automaticSchedule: 'Automatic', note: 'Looks back over four steps.' },
  {
    id: 'heun',
    label: 'Heun',
    automaticSchedule: 'Automatic',
    note: 'Euler corrected: two evaluations a step.',
  },
  { id: 'dpm_2', label: 'DPM2', automaticSchedule: 'Karras', note: 'Second order by a midpoint.' },
  { id: 'dpm_2_ancestral', label: 'DPM2 a', automaticSchedule: 'Karras', note: 'DPM2 with fresh noise.' },
  {
    id: 'dpm_fast',
    label: 'DPM fast',
    automaticSchedule: 'Automatic',
    note: 'Spends exactly the steps you give it.',
  },
  {
    id: 'dpm_adaptive',
    label: 'DPM adaptive',
    automaticSchedule: 'Automatic',
    note: 'Chooses its own steps.',
  },
  {
    id: 'restart',
    label: 'Restart',
    automaticSchedule: 'Karras',
    note: 'Goes back up in noise and down again.',
  },
  { id: 'ddim', label: 'DDIM', automaticSchedule: 'Automatic', note: 'The classic; well known behaviour.' },
  {
    id: 'ddim_cfgpp',
    label: 'DDIM CFG++',
    automaticSchedule: 'Automatic',
    note: 'Wants guidance between 1 and 2.',
  },
  { id: 'plms', label: 'PLMS', automaticSchedule: 'Automatic', note: 'Stable Diffusion’s first sampler.' },
  { id: 'unipc', label: 'UniPC', automaticSchedule: 'Automatic', note: 'Good from ten steps on.' },
  { id: 'lcm', label: 'LCM', automaticSchedule: 'Automatic', note: 'For LCM models: four to eight steps.' },
];

/** A1111's schedule types, in its order. */
export const schedules: readonly ScheduleOption[] = [
  { id: 'automatic', label: 'Automatic' },
  { id: 'uniform', label: 'Uniform' },
  { id: 'karras', label: 'Karras' },
  { id: 'exponential', label: 'Exponential' },
  { id: 'polyexponential', label: 'Polyexponential' },
  { id: 'sgm_uniform', label: 'SGM Uniform' },
  { id: 'kl_optimal', label: 'KL Optimal' },
  { id: 'align_your_steps', label: 'Align Your Steps' },
  { id: 'simple', label: 'Simple' },
  { id: 'normal', label: 'Normal' },
  { id: 'ddim', label: 'DDIM' },
  { id: 'beta', label: 'Beta' },
];
