import type { Job, StoredImage } from '#protocol/job.ts';
import { factsOf } from '#protocol/tasks.ts';

/** Of images that came over an API to be upscaled, and tell nothing of themselves. */
const UNNAMED = 'An image without a prompt';

/** What an image of a job will be called: its prompt, or that of the image it is made from. */
export function captionOf(job: Job, index: number): string {
  return factsOf(job).prompt(job, index) || UNNAMED;
}

/** What a finished image is called. */
export function titleOf({ prompt }: StoredImage): string {
  return prompt || UNNAMED;
}
