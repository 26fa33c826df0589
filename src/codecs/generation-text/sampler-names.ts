import { INFOTEXT_SAMPLERS, INFOTEXT_SCHEDULES } from '#codecs/infotext-samplers.ts';

/** Other programs' names of samplers by the engine's, where they differ in more than `k_` and capitals. */
const OTHER_SAMPLERS: Readonly<Record<string, string>> = {
  euler_a: 'euler_ancestral',
  dpm2: 'dpm_2',
  dpm2_a: 'dpm_2_ancestral',
  dpm_2_a: 'dpm_2_ancestral',
  kdpm_2: 'dpm_2',
  kdpm_2_a: 'dpm_2_ancestral',
  'dpm++_2m': 'dpmpp_2m',
  'dpm++_sde': 'dpmpp_sde',
  'dpm++_2m_sde': 'dpmpp_2m_sde',
  'dpm++_2s_a': 'dpmpp_2s_ancestral',
  'dpm++_3m_sde': 'dpmpp_3m_sde',
  dpmpp_2s: 'dpmpp_2s_ancestral',
  dpmpp_2s_a: 'dpmpp_2s_ancestral',
  uni_pc: 'unipc',
  pndm: 'plms',
  ddim_v3: 'ddim',
};

/** Endings of samplers' names that are schedules. */
const ENDINGS: Readonly<Record<string, string>> = {
  _k: 'karras',
  _karras: 'karras',
  _exponential: 'exponential',
  _trailing: 'sgm_uniform',
  _substep: 'simple',
};

/** Other programs' names of schedules by the engine's. */
const OTHER_SCHEDULES: Readonly<Record<string, string>> = {
  normal: 'automatic',
  native: 'automatic',
  ddim_uniform: 'ddim',
};

const LABELS: ReadonlyMap<string, string> = new Map(INFOTEXT_SAMPLERS.map(({ id, label }) => [id, label]));
const SCHEDULE_LABELS: ReadonlyMap<string, string> = new Map(Object.entries(INFOTEXT_SCHEDULES));

/**
 * A sampler's name of ComfyUI, Fooocus, InvokeAI, Draw Things or NovelAI as infotexts name it; the name itself if it is
 * unknown. Schedules that are part of the name are split off.
 */
export function samplerNames(name: string, schedule = ''): { sampler: string; schedule: string } {
  const plain = name
    .trim()
    .toLowerCase()
    .replaceAll(/[\s-]+/g, '_')
    .replace(/^k_/, '')
    .replace(/_gpu$/, '');
  const ending = Object.keys(ENDINGS).find((end) => plain.endsWith(end)) ?? '';
  const id = plain.slice(0, plain.length - ending.length);
  return {
    sampler: LABELS.get(OTHER_SAMPLERS[id] ?? id) ?? name,
    schedule: scheduleName(schedule === '' ? (ENDINGS[ending] ?? '') : schedule),
  };
}

function scheduleName(name: string): string {
  const plain = name.trim().toLowerCase().replaceAll(' ', '_');
  return SCHEDULE_LABELS.get(OTHER_SCHEDULES[plain] ?? plain) ?? name;
}
