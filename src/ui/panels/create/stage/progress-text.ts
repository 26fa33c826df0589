import type { Job, JobProgress } from '#protocol/job.ts';
import { requirementsOf } from '#protocol/tasks.ts';
import { formatSeconds } from '#ui/format.ts';
import { kindLabels } from '#ui/state/packs.ts';

/** Where a running job is, in a few words. */
export function describeProgress(job: Job, now: JobProgress | null): string {
  if (!now) return 'Starting';
  const kind = requirementsOf(job)[0]?.kind;
  const ofMany = now.images > 1 ? `Image ${now.image + 1} of ${now.images} · ` : '';
  const ofPasses = now.passes > 1 ? `Pass ${now.pass + 1} of ${now.passes} · ` : '';
  const left = now.secondsLeft === null ? '' : ` · ${formatSeconds(now.secondsLeft)} left`;
  switch (now.phase) {
    case 'loading':
      return kind === undefined ? 'Loading' : `Loading: ${kindLabels[kind]}`;
    case 'encoding':
      return `${ofMany}Reading the prompt${left}`;
    case 'sampling':
      return `${ofMany}${ofPasses}Step ${now.step} of ${now.steps}${left}`;
    case 'upscaling':
      return `${ofMany}Tile ${now.step} of ${now.steps}${left}`;
    case 'decoding':
      return `${ofMany}Finishing${left}`;
  }
}
