import { INFOTEXT_SAMPLERS, INFOTEXT_SCHEDULES, type InfotextSamplerId } from '#codecs/infotext-samplers.ts';

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

const NOTES: Readonly<Record<InfotextSamplerId, string>> = {
  dpmpp_2m: 'Quick and clean: a good first choice.',
  dpmpp_sde: 'Rich detail in few steps, each twice as dear.',
  dpmpp_2m_sde: 'Detail of SDE at the price of 2M.',
  dpmpp_2m_sde_heun: 'A softer 2M SDE.',
  dpmpp_2s_ancestral: 'Keeps changing with more steps.',
  dpmpp_3m_sde: 'Third order: shines from 30 steps on.',
  euler_ancestral: 'Soft and inventive; every step count differs.',
  euler: 'The plainest solver: predictable.',
  lms: 'Looks back over four steps.',
  heun: 'Euler corrected: two evaluations a step.',
  dpm_2: 'Second order by a midpoint.',
  dpm_2_ancestral: 'DPM2 with fresh noise.',
  dpm_fast: 'Spends exactly the steps you give it.',
  dpm_adaptive: 'Chooses its own steps.',
  restart: 'Goes back up in noise and down again.',
  ddim: 'The classic; well known behaviour.',
  ddim_cfgpp: 'Wants guidance between 1 and 2.',
  plms: 'Stable Diffusion’s first sampler.',
  unipc: 'Good from ten steps on.',
  lcm: 'For LCM models: four to eight steps.',
};

/** A1111's samplers, in its order. */
export const samplers: readonly SamplerOption[] = INFOTEXT_SAMPLERS.map((sampler) => ({
  id: sampler.id,
  label: sampler.label,
  automaticSchedule: INFOTEXT_SCHEDULES['schedule' in sampler ? sampler.schedule : 'automatic'],
  note: NOTES[sampler.id],
}));

/** A1111's schedule types, in its order. */
export const schedules: readonly ScheduleOption[] = Object.entries(INFOTEXT_SCHEDULES).map(([id, label]) => ({
  id,
  label,
}));
