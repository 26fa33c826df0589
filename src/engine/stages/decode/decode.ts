import type { Denoised } from '#engine/stages/denoise/denoise.ts';
import type { LoadedBatch } from '#engine/stages/load/load-pass.ts';
import { resizeToCover, stretch, type Pixels } from '#engine/stages/pixels/resize.ts';
import type { Stage } from '#engine/stages/run/context.ts';
import { decodeLatents } from './decode-latents.ts';

/** A batch and its latents, which are let go behind the stage. */
export interface DecodeInput extends LoadedBatch {
  denoised: Denoised;
}

/**
 * The images of a batch at the size of its pass; of a run that was stopped those the job keeps.
 * @throws AppError `not_a_number` for a broken image, and what the runtime throws
 */
export const decode: Stage<DecodeInput, Pixels[]> = async (run, input) => {
  const { job, batch, pass, model, denoised } = input;
  const images: Pixels[] = [];
  try {
    if (!denoised.isComplete && !job.keepUnfinished) return images;
    run.progress.decoding();
    for (const index of batch.images.keys()) {
      const latents = denoised.latents(index);
      if (!latents) continue;
      const pixels = await decodeLatents(run.runtime, model, latents, denoised.read);
      // An image that came in stretched goes out the same way.
      const resize = job.init.from === 'noise' && pass.index === 0 ? resizeToCover : stretch;
      images.push(await resize(pixels, pass.spec.size));
    }
    return images;
  } finally {
    denoised.close();
  }
};
