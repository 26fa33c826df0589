import type { GalleryItem } from '#protocol/engine-host.ts';
import type { Job } from '#protocol/job.ts';

/** Of pictures that came over an API to be enlarged, and tell nothing of themselves. */
const UNNAMED = 'A picture without a prompt';

/** What a picture of a job will be called: its prompt, or that of the picture it is made from. */
export function captionOf(job: Job, index: number): string {
  return job.task === 'upscale'
    ? job.sources[index]?.known?.prompt || UNNAMED
    : (job.pictures[index]?.prompt.join(' ') ?? '');
}

/** What a finished picture is called. */
export function titleOf({ prompt, job }: GalleryItem): string {
  return job.task === 'upscale' ? prompt || UNNAMED : prompt;
}
