import { sizeOfRegion } from '#engine/stages/init/prepare-fooocus.ts';
import type { InitSource } from '#engine/stages/init/read-init.ts';
import { isLatentUpscaler } from '#imaging/a1111/latent-upscale.ts';
import { AppError } from '#protocol/error.ts';
import type { GenerateJob, ImageSpec, Pass } from '#protocol/job.ts';
import type { PlannedPass } from './resolve.ts';

/** A pass with what follows for it from the job: Fooocus' size of a masked region, and extra noise. */
export function completePass(
  { init, noise }: Pick<GenerateJob, 'init' | 'noise'>,
  pass: Pass,
  sources: readonly InitSource[] | null,
): Pass {
  const [source] = sources ?? [];
  const isRegion = init.from === 'masked' && init.rules === 'fooocus' && source !== undefined;
  const { sampler } = pass;
  const { extra: extraNoise = 0 } = noise;
  return {
    ...pass,
    ...(isRegion && sizeOfRegion(source, init, pass.size)),
    ...(extraNoise > 0 &&
      sampler.family === 'k-diffusion' && {
        sampler: { ...sampler, options: { ...sampler.options, extraNoise } },
      }),
  };
}

/** The job's images with the prompts of a pass. */
export function promptsOf({ images }: Pick<GenerateJob, 'images'>, { prompts }: Pass): readonly ImageSpec[] {
  return prompts ? images.map((image, index) => ({ ...image, ...prompts[index] })) : images;
}

/**
 * Checks what one pass hands to the next.
 * @throws AppError `invalid_request` for latents that another model cannot go on from, and for sizes that cannot be cut out
 */
export function checkPasses(passes: readonly PlannedPass[]): void {
  for (const [index, { spec, model }] of passes.entries()) {
    const before = passes[index - 1];
    if (!before) continue;
    const { size, resizeTo = size, resizeBy = '' } = spec;
    if (resizeTo.width < size.width || resizeTo.height < size.height) {
      throw new AppError(
        'invalid_request',
        `${size.width} × ${size.height} pixels cannot be cropped from an image of ${resizeTo.width} × ${resizeTo.height}. Resize to a larger size.`,
      );
    }
    if (isLatentUpscaler(resizeBy) && model.pack.family !== before.model.pack.family) {
      throw new AppError(
        'invalid_request',
        `“${resizeBy}” needs two models with the same latents, which ${before.model.pack.title} and ${model.pack.title} do not have. Choose another upscaler.`,
      );
    }
  }
}
