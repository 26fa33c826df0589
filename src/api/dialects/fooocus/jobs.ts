import { convertImage, publishImages } from '#api/files.ts';
import type { Call } from '#api/route.ts';
import { finishedImages } from '#api/run-job.ts';
import { encodePreview } from '#api/preview.ts';
import { blobToBase64 } from '#codecs/base64.ts';
import { imagesOf, type JobProgress, type JobRecord } from '#protocol/job.ts';
import * as v from 'valibot';
import type { AsyncJob, ImageResult } from './schema.ts';

/** The dialect's name, which its jobs have as their client. */
export const NAME = 'fooocus';

/** Stored with a job for its later answers. */
const replySchema = v.object({
  jobType: v.string(),
  /** File name stem, or empty for the job's id. */
  saveName: v.string(),
  extension: v.string(),
  requireBase64: v.boolean(),
  /** Whether previews may be requested. */
  preview: v.boolean(),
  webhookUrl: v.string(),
});

export type Reply = v.InferOutput<typeof replySchema>;

/** The notes of a job of this dialect. */
export function readReply(record: JobRecord): Reply {
  return v.parse(replySchema, record.origin.reply);
}

/** The notes of a job that answers a tool, and has no images. */
export function toToolReply(jobType: string): Reply {
  return { jobType, saveName: '', extension: 'png', requireBase64: false, preview: false, webhookUrl: '' };
}

export const QUEUE_IS_FULL: ImageResult = {
  base64: null,
  url: null,
  seed: '',
  finish_reason: 'QUEUE_IS_FULL',
};

/** The images of an ended job; none when it failed, those finished so far when it was stopped. */
export async function toImageResults(
  call: Pick<Call<unknown, unknown>, 'ask' | 'url'>,
  record: JobRecord,
): Promise<ImageResult[]> {
  const images = record.stage === 'failed' ? [] : await finishedImages(call.ask, record);
  if (images.length === 0) return [];
  const { extension, requireBase64, saveName } = readReply(record);
  const published = await publishImages(call, record, saveName || record.id, { extension });
  const urls = new Map(imagesOf(record.result).map(({ index }, i) => [index, published[i]]));
  return Promise.all(
    images.map(async ({ blob, index, seed }) => ({
      base64: requireBase64 ? `data:image/${extension};base64,${await blobToBase64(blob)}` : null,
      url: urls.get(index) ?? null,
      seed: String(seed),
      finish_reason: 'SUCCESS' as const,
    })),
  );
}

/** The answer for an id that is not known. */
export const JOB_NOT_FOUND: AsyncJob = {
  job_id: '',
  job_type: 'Not Found',
  job_stage: 'ERROR',
  job_progress: 0,
  job_status: 'Job not found',
  job_step_preview: null,
  job_result: null,
};

/** The asynchronous answer when the queue takes no more. */
export function refuseAsyncJob(jobType: string): AsyncJob {
  return { ...JOB_NOT_FOUND, job_type: jobType, job_status: null, job_result: [QUEUE_IS_FULL] };
}

const STAGES = {
  queued: 'WAITING',
  running: 'RUNNING',
  done: 'SUCCESS',
  cancelled: 'SUCCESS',
  failed: 'ERROR',
} as const;

/** The current state of a job, with the newest preview of a running one if requested. */
export async function toAsyncJob(
  call: Pick<Call<unknown, unknown>, 'ask' | 'url'>,
  record: JobRecord,
  withPreview: boolean,
): Promise<AsyncJob> {
  const stage = STAGES[record.stage];
  const finished = stage === 'SUCCESS';
  const { jobType, preview: mayPreview } = readReply(record);
  const preview = withPreview && mayPreview ? await call.ask((host) => host.preview(record.id)) : undefined;
  return {
    job_id: record.id,
    job_type: jobType,
    job_stage: stage,
    ...(finished ? { job_progress: 100, job_status: 'Finished' } : describeProgress(record.progress)),
    job_step_preview: preview ? encodePreview(preview) : null,
    job_result: finished ? await toImageResults(call, record) : null,
  };
}

/** An image as PNG, in whatever format it was saved. */
export async function toPng(blob: Blob): Promise<Blob> {
  return blob.type === 'image/png' ? blob : convertImage(blob, 'image/png');
}

/** What a job has done when its first step begins, of 100 (`async_worker.py`). */
const PREPARED = 15;

/**
 * Progress in Fooocus's numbers and words (`async_worker.py`). Its number falls between two images; ours only grows, as
 * `fraction` does.
 */
export function describeProgress(
  progress: JobProgress | null,
): Pick<AsyncJob, 'job_progress' | 'job_status'> {
  if (!progress) return { job_progress: 0, job_status: null };
  const { phase, fraction, image, images, step, steps } = progress;
  const preparing = fraction === 0 && (phase === 'loading' || phase === 'encoding');
  const done = Math.floor(PREPARED + (100 - PREPARED) * fraction);
  // A finished image stays the current one until the next begins.
  const number = Math.min(image + 1, images);
  const words: Readonly<Record<JobProgress['phase'], string>> = {
    waiting: 'Waiting in task queue ...',
    loading: 'Loading models ...',
    encoding: `Encoding positive #${number} ...`,
    sampling: `Step ${step}/${steps} in the ${number}-th Sampling`,
    upscaling: 'Upscaling image ...',
    restoring: 'Restoring faces ...',
    describing: 'Describing image ...',
    detailing: `Step ${step}/${steps} in the ${number}-th Detailing`,
    decoding: `Saving image ${number}/${images} to system ...`,
  };
  return { job_progress: preparing ? 5 : Math.min(100, done), job_status: words[phase] };
}

/** A job in `job-history`: epoch milliseconds, 0 for what is still to come. */
export function toHistoryItem(record: JobRecord) {
  return {
    job_id: record.id,
    in_queue_mills: record.queuedAt,
    start_mills: record.startedAt ?? 0,
    finish_mills: record.finishedAt ?? 0,
    is_finished: isEnded(record),
  };
}

export function isEnded(record: JobRecord): boolean {
  return record.stage !== 'queued' && record.stage !== 'running';
}
