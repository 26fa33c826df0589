import type { GalleryItem } from '#protocol/engine-host.ts';
import type { Job } from '#protocol/job.ts';

/** Of images that came over an API to be upscaled, and tell nothing of themselves. */
const UNNAMED = 'An image without a prompt';

/** What an image of a job will be called: its prompt, or that of the image it is made from. */
export function captionOf(job: Job, index: number): string {
  return job.task === 'upscale'
    ? job.sources[index]?.known?.prompt || UNNAMED
    : (job.images[index]?.prompt.join(' ') ?? '');
}

/** What a finished image is called. */
export function titleOf({ prompt, job }: GalleryItem): string {
  return job.task === 'upscale' ? prompt || UNNAMED : prompt;
}
