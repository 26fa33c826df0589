import type { Job, JobProgress } from '#protocol/job.ts';
import { requirementsOf } from '#protocol/tasks.ts';
import { formatSeconds } from '#ui/format.ts';
import { kindLabels } from '#ui/state/packs.ts';

/** Where a job waits that was sent to a service. */
function describeQueue(position: number | undefined): string {
  if (position === undefined) return 'Sending';
  return position <= 1 ? 'Next in the queue there' : `Number ${position} in the queue there`;
}

/** Where a running job is, in a few words. */
export function describeProgress(job: Job, now: JobProgress | null): string {
  if (!now) return 'Starting';
  const kind = requirementsOf(job)[0]?.kind;
  const ofMany = now.images > 1 ? `Image ${now.image + 1} of ${now.images} · ` : '';
  const ofPasses = now.passes > 1 ? `Pass ${now.pass + 1} of ${now.passes} · ` : '';
  const left = now.secondsLeft === null ? '' : ` · ${formatSeconds(now.secondsLeft)} left`;
  switch (now.phase) {
    case 'waiting':
      return `${ofMany}${describeQueue(now.queuePosition)}${left}`;
    case 'loading':
      return kind === undefined ? 'Loading' : `Loading: ${kindLabels[kind]}`;
    case 'encoding':
      return `${ofMany}Reading the prompt${left}`;
    case 'sampling':
      // Services say no more than that they generate.
      if (now.steps === 0) return `${ofMany}Generating${left}`;
      return `${ofMany}${ofPasses}Step ${now.step} of ${now.steps}${left}`;
    case 'upscaling':
      return `${ofMany}Tile ${now.step} of ${now.steps}${left}`;
    case 'restoring':
      return `${ofMany}Face ${now.step} of ${now.steps}${left}`;
    case 'detailing':
      return `${ofMany}Detail: step ${now.step} of ${now.steps}${left}`;
    case 'describing':
      return 'Describing';
    case 'decoding':
      return `${ofMany}Finishing${left}`;
  }
}
