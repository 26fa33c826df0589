import { AppError } from '#protocol/error.ts';
import type { Job, JobId, JobOrigin, JobRecord, JobResult } from '#protocol/job.ts';
import { ask, type Connect } from './connection.ts';

/** Who asks for a job, and how to tell that they have gone. */
export interface JobRequest {
  connect: Connect;
  job: Job;
  origin: JobOrigin;
  signal: AbortSignal;
}

/** Queues a job for whoever will ask for it later; answers with the id to ask for. */
export function submitJob({ connect, job, origin }: Omit<JobRequest, 'signal'>): Promise<JobId> {
  const id = crypto.randomUUID();
  return ask(connect, (host) => host.submit(id, job, origin));
}

/**
 * Runs a job to its end, in another tab if the first one dies: the host knows the job by its id and takes it
 * up from its record. A caller who goes away cancels it.
 * @throws AppError the job's own failure; `cancelled` when the caller has gone
 */
export async function runJob({ connect, job, origin, signal }: JobRequest): Promise<JobRecord> {
  if (signal.aborted) throw new AppError('cancelled', 'The request was cancelled.');
  const id = crypto.randomUUID();
  let running: JobId = id;
  const cancel = () => {
    // Nobody is left to be told of a failure.
    ask(connect, (host) => host.cancel(running)).catch(() => undefined);
  };
  signal.addEventListener('abort', cancel, { once: true });
  try {
    const record = await ask(connect, async (host) => {
      running = await host.submit(id, job, origin);
      return host.wait(running);
    });
    if (record.stage === 'failed' && record.error) throw AppError.fromData(record.error);
    return record;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

/** The pictures a job has made; none when it was cancelled before it began. */
export function resultOf(record: JobRecord): JobResult {
  return record.result ?? { pictures: [], interrupted: true, seconds: 0, notes: [] };
}
