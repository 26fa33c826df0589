import { AppError } from '#protocol/error.ts';
import type { Job, JobId, JobOrigin, JobRecord, JobResult } from '#protocol/job.ts';
import type { Ask } from './connection.ts';

/** Queues a job; answers with the id to ask for, which is another job's when that one does the same work already. */
export function submitJob(ask: Ask, job: Job, origin: JobOrigin): Promise<JobId> {
  const id = crypto.randomUUID();
  return ask((host) => host.submit(id, job, origin));
}

/**
 * Waits for the end of a job, in another tab if the first one dies: the host knows the job by its id and takes it
 * up from its record. A caller who goes away cancels it.
 * @throws AppError the job's own failure
 */
export async function awaitJob(ask: Ask, id: JobId, signal: AbortSignal): Promise<JobRecord> {
  const cancel = () => {
    // Nobody is left to be told of a failure.
    ask((host) => host.cancel(id)).catch(() => undefined);
  };
  if (signal.aborted) cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    const record = await ask((host) => host.wait(id));
    if (record.stage === 'failed' && record.error) throw AppError.fromData(record.error);
    return record;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

/** The images a job has made; none when it was cancelled before it began. */
export function resultOf(record: JobRecord): JobResult {
  return record.result ?? { images: [], interrupted: true, seconds: 0, notes: [] };
}
