import type { Job, StoredImage } from '#protocol/job.ts';
import { factsOf } from '#protocol/tasks.ts';

/** Of images that came over an API to be upscaled, and say nothing of themselves. */
const UNNAMED = 'An image without a prompt';

/** What an image of a job will be called: its prompt, or that of the image it is made from. */
export function captionOf(job: Job, index: number): string {
  return factsOf(job).prompt(job, index) || UNNAMED;
}

/** What a finished image is called. */
export function titleOf({ prompt }: StoredImage): string {
  return prompt || UNNAMED;
}

/** The name of the file an image is saved as. */
export function fileNameOf({ prompt, seed, blob }: StoredImage): string {
  const words = prompt
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, '-')
    .slice(0, 48)
    .replaceAll(/^-|-$/g, '');
  const extension = blob.type.split('/')[1] ?? 'png';
  return `${words || 'image'}-${seed}.${extension}`;
}
