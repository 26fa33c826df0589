import { describerOf } from '#protocol/describer.ts';
import { AppError } from '#protocol/error.ts';
import type { DescribeJob } from '#protocol/job.ts';
import type { AddOnInfo } from '#protocol/model.ts';
import type { GenerateForm } from './generate-form.svelte.ts';

/**
 * The job of a form in the mode that describes.
 * @param describers what there is to choose from, the best first
 * @throws AppError `invalid_request` when there is no image
 */
export function describeJob(
  { sources, describe }: Pick<GenerateForm, 'sources' | 'describe'>,
  describers: readonly AddOnInfo[],
): DescribeJob {
  const [source] = sources;
  if (!source) throw new AppError('invalid_request', 'Add an image to describe.');
  const chosen = describers.find(({ pack }) => pack.id === describe.describer) ?? describers[0];
  if (!chosen) throw new AppError('not_found', 'No describer is listed yet. Try again in a moment.');
  return {
    task: 'describe',
    image: source.blob,
    describer: describerOf(chosen.pack, { extent: describe.extent }),
  };
}
