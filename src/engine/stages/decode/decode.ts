import type { TensorValue } from '#engine/runtime/runtime.ts';
import type { Denoised } from '#engine/stages/denoise/denoise.ts';
import { latentLength } from '#engine/stages/denoise/unet.ts';
import type { StartLatents } from '#engine/stages/init/init-latents.ts';
import type { LatentChange } from '#engine/stages/init/prepared.ts';
import type { LoadedBatch } from '#engine/stages/load/load-pass.ts';
import type { PlannedPass } from '#engine/stages/resolve/resolve.ts';
import type { Stage } from '#engine/stages/run/context.ts';
import { isLatentUpscaler } from '#imaging/a1111/latent-upscale.ts';
import { resizeImage } from '#imaging/a1111/resize.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { Planes } from '#imaging/planes.ts';
import { decodeCircular } from './decode-circular.ts';
import { decodeLatents } from './decode-latents.ts';

/** A batch and its latents, which are released after the stage. */
export interface DecodeInput extends LoadedBatch {
  denoised: Denoised;
  /** The pass that continues from it. */
  next: PlannedPass | undefined;
  /** What the batch started from. */
  latents: StartLatents;
}

/** The result of a pass for each image of a batch. */
export interface Made {
  /** Whether the pass ran to its end. */
  isComplete: boolean;
  /** RGB at the size of the pass. */
  images: readonly Pixels[];
  /** Instead of the images, if the next pass upscales latents: at the scale of the UNet. */
  latents: readonly Planes[];
  /** What became of each image's latents, for soft inpainting. */
  changes: readonly LatentChange[];
}

/**
 * The images of a batch at the size of its pass; of a run that was stopped those the job keeps.
 * @throws AppError `not_a_number` for a broken image, and what the runtime throws
 */
export const decode: Stage<DecodeInput, Made> = async (run, input) => {
  const { job, batch, pass, denoised, next } = input;
  const { isComplete, model } = denoised;
  const images: Pixels[] = [];
  const planes: Planes[] = [];
  const changes: LatentChange[] = [];
  const { sampler } = pass.spec;
  const readLatents = denoised.read;
  try {
    if (!isComplete && !job.keepUnfinished) return { isComplete, images, latents: planes, changes };
    const staysLatent = isComplete && next !== undefined && isLatentUpscaler(next.spec.resizeBy ?? '');
    if (!staysLatent) run.progress.decoding();
    for (const index of batch.images.keys()) {
      const latents = denoised.latents(index);
      if (!latents) continue;
      const read = async (): Promise<Planes> => {
        const data = await denoised.read(latents);
        return { ...pass.shape, data: data.map((value) => value * model.scalingFactor) };
      };
      if (staysLatent) {
        planes.push(await read());
        continue;
      }
      const change = changeOf(input, index);
      if (change) changes.push({ ...change, processed: await read() });
      const rounding = sampler.family === 'diffusers' ? 'nearest' : 'down';
      const decodeOne = (value: TensorValue) =>
        decodeLatents(run.runtime, model, value, readLatents, rounding);
      const pixels = pass.spec.panorama?.circular
        ? await decodeCircular(latents, readLatents, decodeOne)
        : await decodeOne(latents);
      images.push(fitImage(pixels, input));
    }
    return { isComplete, images, latents: planes, changes };
  } finally {
    denoised.close();
  }
};

/** What a change of latents in soft inpainting is measured by; null in other runs. */
function changeOf(
  { pass: { shape }, latents: { start } }: DecodeInput,
  image: number,
): Omit<LatentChange, 'processed'> | null {
  const { init, mask, soft } = start;
  if (!init || !mask || !soft) return null;
  const length = latentLength(shape);
  const from = image * length;
  return {
    mask: { ...shape, channels: 1, data: mask.subarray(from, from + shape.height * shape.width) },
    original: { ...shape, data: init.subarray(from, from + length) },
  };
}

/** An image that came in stretched to the size its networks run at goes out the same way; others are cut to their aspect. */
function fitImage(image: Pixels, { job, pass }: DecodeInput): Pixels {
  const { width, height } = pass.spec.size;
  if (image.width === width && image.height === height) return image;
  return resizeImage(job.init.from === 'noise' && pass.index === 0 ? 1 : 0, image, { width, height });
}
