import type { Job, JobOrigin, JobRecord } from '#protocol/job.ts';
import type { Call } from './route.ts';

/**
 * Runs a job to its end of which the answer is all that is wanted, such as a mask or a description: its record, and with it the
 * image that was sent, is not kept.
 * @param reply kept with the job while it runs, see JobOrigin
 * @throws AppError its failure
 */
export async function runUnkept(
  call: Pick<Call<unknown, unknown>, 'run' | 'ask'>,
  job: Job,
  reply?: JobOrigin['reply'],
): Promise<JobRecord> {
  const record = await call.run(job, reply);
  await call.ask((host) => host.removeJob(record.id));
  return record;
}
