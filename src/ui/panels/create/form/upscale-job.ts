import { AppError } from '#protocol/error.ts';
import type { UpscaleJob, UpscalerName } from '#protocol/job.ts';
import type { GenerateForm } from './generate-form.svelte.ts';

/**
 * The job of a form in a mode that upscales.
 * @throws AppError `invalid_request` when there is no image
 */
export function upscaleJob(
  { sources, upscale }: Pick<GenerateForm, 'sources' | 'upscale'>,
  upscaler: UpscalerName,
): UpscaleJob {
  if (sources.length === 0) throw new AppError('invalid_request', 'Add an image to upscale.');
  return {
    task: 'upscale',
    sources: sources.map(({ blob, known }) => ({ image: blob, ...(known && { known }) })),
    post: [{ kind: 'upscale', upscaler, size: { factor: upscale.factor } }],
    output: { format: 'png', quality: 1, texts: true },
  };
}
