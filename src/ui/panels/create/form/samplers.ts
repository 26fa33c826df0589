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
  dpmpp_2m: 'Fast and clean: a good default.',
  dpmpp_sde: 'Rich detail in few steps; each step costs two evaluations.',
  dpmpp_2m_sde: 'The detail of SDE at the cost of 2M.',
  dpmpp_2m_sde_heun: 'A softer 2M SDE.',
  dpmpp_2s_ancestral: 'Keeps changing as steps are added.',
  dpmpp_3m_sde: 'Third order: best with 30 steps or more.',
  euler_ancestral: 'Soft and varied; the image changes with the step count.',
  euler: 'The simplest solver, and predictable.',
  lms: 'Uses the last four steps.',
  heun: 'Euler with a correction: two evaluations per step.',
  dpm_2: 'Second order by a midpoint: two evaluations per step.',
  dpm_2_ancestral: 'DPM2 with fresh noise at each step.',
  dpm_fast: 'Uses exactly the number of steps you set.',
  dpm_adaptive: 'Chooses its own number of steps.',
  restart: 'Adds noise again partway and denoises once more.',
  ddim: 'The classic, deterministic sampler.',
  ddim_cfgpp: 'Use a CFG scale between 1 and 2.',
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
