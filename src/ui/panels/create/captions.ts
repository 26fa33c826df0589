import type { Job } from '#protocol/job.ts';

/** What a picture of a job is called: its prompt, or that of the picture it is made from. */
export function captionOf(job: Job, index: number): string {
  return job.task === 'upscale'
    ? (job.sources[index]?.known?.prompt ?? 'A picture of another app')
    : (job.pictures[index]?.prompt.join(' ') ?? '');
}
