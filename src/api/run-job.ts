import { AppError } from '#protocol/error.ts';
import {
  imagesOf,
  type GeneratedImage,
  type Job,
  type JobId,
  type JobOrigin,
  type JobRecord,
} from '#protocol/job.ts';
import type { Ask } from './connection.ts';

/** Queues a job; answers with the id to ask for, which is another job's when that one does the same work already. */
export function submitJob(ask: Ask, job: Job, origin: JobOrigin): Promise<JobId> {
  const id = crypto.randomUUID();
  return ask((host) => host.submit(id, job, origin));
}

/** Cancels a job once its caller has gone. @returns stops watching */
export function cancelWhenGone(ask: Ask, id: JobId, signal: AbortSignal): () => void {
  const cancel = () => {
    // The caller is gone, so a failure has no reader.
    ask((host) => host.cancel(id)).catch(() => undefined);
  };
  if (signal.aborted) cancel();
  signal.addEventListener('abort', cancel, { once: true });
  return () => signal.removeEventListener('abort', cancel);
}

/**
 * Waits for the end of a job, in another tab if the first one dies: the host knows the job by its id and takes it
 * up from its record. A caller who goes away cancels it.
 * @throws AppError the job's own failure
 */
export async function awaitJob(ask: Ask, id: JobId, signal: AbortSignal): Promise<JobRecord> {
  const stopWatching = cancelWhenGone(ask, id, signal);
  try {
    const record = await ask((host) => host.wait(id));
    if (record.stage === 'failed' && record.error) throw AppError.fromData(record.error);
    return record;
  } finally {
    stopWatching();
  }
}

/** A finished image with its file. */
export interface FinishedImage extends GeneratedImage {
  blob: Blob;
}

/**
 * The images a job has made, with their files, in order. A job cancelled before its first image has none, and images that
 * have been deleted since are left out.
 */
export async function finishedImages(ask: Ask, record: JobRecord): Promise<FinishedImage[]> {
  const files = new Map(
    (await ask((host) => host.images(record.id))).map(({ index, blob }) => [index, blob]),
  );
  return imagesOf(record.result).flatMap((image) => {
    const blob = files.get(image.index);
    return blob ? [{ ...image, blob }] : [];
  });
}
