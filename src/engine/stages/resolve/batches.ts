import type { GenerateJob } from '#protocol/job.ts';
import type { Batch, PlannedPass } from './resolve.ts';

/**
 * A job's images in batches of its size. Adaptive samplers look at a whole batch's error, so that they run image by image;
 * and a batch has one set of LoRAs.
 */
export function splitBatches(
  { images, batchSize }: Pick<GenerateJob, 'images' | 'batchSize'>,
  passes: readonly Pick<PlannedPass, 'plan' | 'loras'>[],
): Batch[] {
  const size = passes.some(({ plan }) => plan.adaptive) ? 1 : Math.max(1, batchSize);
  const lorasOf = (index: number) => passes.map(({ loras }) => loras[index]?.key).join('/');
  const batches: Batch[] = [];
  for (let from = 0; from < images.length;) {
    let to = from + 1;
    while (to < images.length && to - from < size && lorasOf(to) === lorasOf(from)) to++;
    batches.push({ images: images.slice(from, to), from });
    from = to;
  }
  return batches;
}
