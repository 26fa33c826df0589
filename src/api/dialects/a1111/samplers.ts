import {
  AUTOMATIC,
  findSampler,
  findScheduler,
  SAMPLERS,
  splitLegacyName,
  type SamplerEntry,
  type SchedulerEntry,
} from '#codecs/a1111-samplers.ts';

export interface ResolvedSampler {
  sampler: SamplerEntry;
  /** The schedule that is really used. */
  schedule: SchedulerEntry;
  /** Names that led nowhere and were replaced. */
  unknown: ('sampler_name' | 'scheduler')[];
}

/**
 * The sampler and schedule a request means (A1111, modules/sd_samplers.py). A name that is none becomes the
 * first sampler, a schedule that is none becomes `Automatic`: the sampler's own or, without one, the model's.
 */
export function resolveSampler(name: string, schedulerName: string | null): ResolvedSampler {
  const legacy = splitLegacyName(name);
  const found = findSampler(legacy.sampler);
  const sampler: SamplerEntry = found ?? SAMPLERS[0];
  const asked =
    schedulerName === null || schedulerName === '' ? legacy.scheduler : findScheduler(schedulerName);
  const own = sampler.options['scheduler'];
  const schedule = asked && asked !== AUTOMATIC ? asked : own === undefined ? AUTOMATIC : findScheduler(own);
  return {
    sampler,
    schedule: schedule ?? AUTOMATIC,
    unknown: [
      ...(found ? [] : (['sampler_name'] as const)),
      ...(asked === undefined ? (['scheduler'] as const) : []),
    ],
  };
}
