import {
  INFOTEXT_SAMPLERS,
  INFOTEXT_SCHEDULES,
  type InfotextSamplerId,
  type InfotextScheduleId,
} from '#codecs/infotext-samplers.ts';

/** A sampler of A1111 1.10 as `GET /samplers` lists it, and the engine's name of it. */
export interface SamplerEntry {
  name: string;
  aliases: readonly string[];
  options: Readonly<Record<string, string>>;
  /** Key of the engine's k-diffusion registry. */
  id: InfotextSamplerId;
}

/** Aliases and flags of the original; the schedule among the options comes from the infotext's table. */
const FACTS: Readonly<Record<InfotextSamplerId, Pick<SamplerEntry, 'aliases' | 'options'>>> = {
  dpmpp_2m: { aliases: ['k_dpmpp_2m'], options: {} },
  dpmpp_sde: { aliases: ['k_dpmpp_sde'], options: { second_order: 'True', brownian_noise: 'True' } },
  dpmpp_2m_sde: { aliases: ['k_dpmpp_2m_sde'], options: { brownian_noise: 'True' } },
  dpmpp_2m_sde_heun: {
    aliases: ['k_dpmpp_2m_sde_heun'],
    options: { brownian_noise: 'True', solver_type: 'heun' },
  },
  dpmpp_2s_ancestral: {
    aliases: ['k_dpmpp_2s_a'],
    options: { uses_ensd: 'True', second_order: 'True' },
  },
  dpmpp_3m_sde: {
    aliases: ['k_dpmpp_3m_sde'],
    options: { discard_next_to_last_sigma: 'True', brownian_noise: 'True' },
  },
  euler_ancestral: { aliases: ['k_euler_a', 'k_euler_ancestral'], options: { uses_ensd: 'True' } },
  euler: { aliases: ['k_euler'], options: {} },
  lms: { aliases: ['k_lms'], options: {} },
  heun: { aliases: ['k_heun'], options: { second_order: 'True' } },
  dpm_2: {
    aliases: ['k_dpm_2'],
    options: { discard_next_to_last_sigma: 'True', second_order: 'True' },
  },
  dpm_2_ancestral: {
    aliases: ['k_dpm_2_a'],
    options: { discard_next_to_last_sigma: 'True', uses_ensd: 'True', second_order: 'True' },
  },
  dpm_fast: { aliases: ['k_dpm_fast'], options: { uses_ensd: 'True' } },
  dpm_adaptive: { aliases: ['k_dpm_ad'], options: { uses_ensd: 'True' } },
  restart: { aliases: ['restart'], options: { second_order: 'True' } },
  ddim: { aliases: ['ddim'], options: {} },
  ddim_cfgpp: { aliases: ['ddim_cfgpp'], options: {} },
  plms: { aliases: ['plms'], options: {} },
  unipc: { aliases: ['unipc'], options: {} },
  lcm: { aliases: ['k_lcm'], options: {} },
};

function samplerEntry(sampler: (typeof INFOTEXT_SAMPLERS)[number]): SamplerEntry {
  const { aliases, options } = FACTS[sampler.id];
  const schedule = 'schedule' in sampler ? { scheduler: sampler.schedule } : {};
  return { id: sampler.id, name: sampler.label, aliases, options: { ...schedule, ...options } };
}

/** What is not found becomes this one. */
const FIRST_SAMPLER = samplerEntry(INFOTEXT_SAMPLERS[0]);

/** All samplers, in the order of the original. */
export const SAMPLERS: readonly SamplerEntry[] = INFOTEXT_SAMPLERS.map(samplerEntry);

/** A sigma schedule as `GET /schedulers` lists it; its name is the engine's too. */
export interface SchedulerEntry {
  name: InfotextScheduleId;
  label: string;
  aliases: readonly string[] | null;
  default_rho: number;
  need_inner_model: boolean;
}

const WITH_INNER_MODEL: readonly InfotextScheduleId[] = [
  'uniform',
  'sgm_uniform',
  'simple',
  'normal',
  'ddim',
  'beta',
];

const DEFAULT_RHO: Partial<Record<InfotextScheduleId, number>> = { karras: 7, polyexponential: 1 };

function schedulerEntry(name: InfotextScheduleId): SchedulerEntry {
  return {
    name,
    label: INFOTEXT_SCHEDULES[name],
    aliases: name === 'sgm_uniform' ? ['SGMUniform'] : null,
    default_rho: DEFAULT_RHO[name] ?? -1,
    need_inner_model: WITH_INNER_MODEL.includes(name),
  };
}

const AUTOMATIC = schedulerEntry('automatic');

/** All schedules, in the order of the original. */
export const SCHEDULERS: readonly SchedulerEntry[] = (
  Object.keys(INFOTEXT_SCHEDULES) as InfotextScheduleId[]
).map(schedulerEntry);

function namesOf({ name, label, aliases }: SchedulerEntry): string[] {
  return [label, name, ...(aliases ?? [])];
}

/** The schedule of this name, label or alias; upper and lower case are the same. */
function findScheduler(name: string): SchedulerEntry | undefined {
  const wanted = name.trim().toLowerCase();
  return SCHEDULERS.find((entry) => namesOf(entry).some((own) => own.toLowerCase() === wanted));
}

function findSampler(name: string): SamplerEntry | undefined {
  const wanted = name.trim().toLowerCase();
  return SAMPLERS.find((entry) => [entry.name, ...entry.aliases].some((own) => own.toLowerCase() === wanted));
}

/** `DPM++ 2M Karras`, as it was written before schedules had a field of their own, in its two parts. */
export function splitJointName(name: string): { sampler: string; scheduler: SchedulerEntry | null } {
  for (const entry of SCHEDULERS) {
    for (const ending of namesOf(entry)) {
      if (name.endsWith(` ${ending}`))
        return { sampler: name.slice(0, -ending.length - 1), scheduler: entry };
    }
  }
  return { sampler: name, scheduler: null };
}

/** What a request's sampler and schedule names mean. */
export interface ResolvedSampler {
  sampler: SamplerEntry;
  /** The schedule that is really used. */
  schedule: SchedulerEntry;
  /** The requested schedule, `Automatic` also if the sampler's own was named; a second pass uses the same. */
  asked: SchedulerEntry;
  /** Names that led nowhere and were replaced. */
  unknown: ('sampler_name' | 'scheduler')[];
}

/**
 * The sampler and schedule a request means (A1111, modules/sd_samplers.py, `get_sampler_and_scheduler`). A schedule at
 * the end of the sampler's name wins over the field. An unknown name becomes the first sampler, an unknown schedule
 * becomes `Automatic`: the sampler's own or, without one, the model's.
 */
export function resolveSampler(name: string, schedulerName: string | null): ResolvedSampler {
  const joint = splitJointName(name);
  const found = findSampler(joint.sampler);
  const sampler = found ?? FIRST_SAMPLER;
  const named = schedulerName === null || schedulerName === '' ? AUTOMATIC : findScheduler(schedulerName);
  const asked = joint.scheduler ?? named ?? AUTOMATIC;
  const own = sampler.options['scheduler'];
  const automatic = (own === undefined ? undefined : findScheduler(own)) ?? AUTOMATIC;
  return {
    sampler,
    schedule: asked.name === AUTOMATIC.name ? automatic : asked,
    asked: asked.name === own ? AUTOMATIC : asked,
    unknown: [
      ...(found ? [] : (['sampler_name'] as const)),
      ...(named === undefined && !joint.scheduler ? (['scheduler'] as const) : []),
    ],
  };
}
