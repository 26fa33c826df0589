import { AppError } from '#protocol/error.ts';
import type { FindMaskJob, JobOrigin, PreprocessJob } from '#protocol/job.ts';
import type { Call } from './route.ts';
import { runUnkept } from './unkept-job.ts';

/**
 * Runs a job that makes a mask or a map and nothing else.
 * @returns a PNG file
 * @throws AppError its failure; `cancelled` when it was stopped
 */
export async function makeMap(
  call: Pick<Call<unknown, unknown>, 'run' | 'ask'>,
  job: FindMaskJob | PreprocessJob,
  reply?: JobOrigin['reply'],
): Promise<Blob> {
  const { result } = await runUnkept(call, job, reply);
  const map = result?.artifacts.find((artifact) => artifact.kind === 'mask');
  if (map) return map.blob;
  throw new AppError('cancelled', 'The job was stopped.');
}
