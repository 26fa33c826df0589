import type { Session } from '#engine/runtime/runtime.ts';
import type { SamplingStart } from '#engine/samplers/sampling-plan.ts';
import type { LatentShape } from '#engine/stages/denoise/unet.ts';
import { AppError } from '#protocol/error.ts';
import type { GenerateJob, Pass } from '#protocol/job.ts';

/**
 * Whether a UNet takes a mask and a masked image besides the latents, as inpainting models do.
 * @throws AppError `unsupported_feature` where it takes something else
 */
export function isInpaintingModel(unet: Session, { channels }: Pick<LatentShape, 'channels'>): boolean {
  const taken = unet.inputDims('sample')[1];
  if (typeof taken !== 'number' || taken === channels) return false;
  if (taken === 2 * channels + 1) return true;
  throw new AppError(
    'unsupported_feature',
    `This UNet takes ${taken} input channels, which does not fit latents of ${channels} channels. Choose another checkpoint.`,
  );
}

/**
 * Where a pass starts, for its sampler's plan.
 * @param index the pass's; all but the first start from the images of the one before
 * @param isInpainting whether its UNet is an inpainting model's
 */
export function samplingStart(
  { init }: Pick<GenerateJob, 'init'>,
  index: number,
  { strength, exactSteps = false, sampler }: Pass,
  isInpainting: boolean,
): SamplingStart {
  if (init.from === 'noise' && index === 0) return { from: 'noise' };
  // diffusers leaves it to an inpainting model to keep what is outside the mask; A1111 and ComfyUI do so themselves.
  const isTrusted = init.from === 'masked' && sampler.family === 'diffusers' && isInpainting;
  if (isTrusted && strength === 1) return { from: 'noise' };
  return { from: 'init', strength, exactSteps, masked: init.from === 'masked' && !isTrusted };
}
