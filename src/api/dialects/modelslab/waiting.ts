import type { Call } from '#api/route.ts';
import { cancelWhenGone } from '#api/run-job.ts';
import { AppError } from '#protocol/error.ts';
import type { Job, JobId, JobRecord } from '#protocol/job.ts';
import {
  futureUrls,
  publishOutput,
  readReply,
  toRequestId,
  wordFailure,
  wordProcessing,
  wordStillProcessing,
  wordSuccess,
} from './answers.ts';
import { BASE } from './endpoints.ts';
import type { Reply } from './schema.ts';

/** Setting: seconds a generation may take before the answer is `processing`; 0 answers so at once. */
const WAIT_SETTING = 'modelslab.wait_seconds';
const DEFAULT_WAIT_SECONDS = 25;

/** Browsers give an answer five minutes to begin. */
const MOST_WAIT_SECONDS = 240;

/**
 * Queues a job; answers with its images, or where they will be when it takes longer. A client that goes before cancels it,
 * unless a webhook waits for it.
 * @throws AppError the job's own
 */
export async function answerJob(
  call: Pick<Call<unknown, unknown>, 'ask' | 'url' | 'submit' | 'note' | 'signal'>,
  job: Job,
  reply: Reply,
): Promise<unknown> {
  const id = await call.submit(job, reply);
  const { [WAIT_SETTING]: seconds } = await call.ask((host) => host.settings());
  const patience = typeof seconds === 'number' ? seconds : DEFAULT_WAIT_SECONDS;
  const stopWatching = reply.webhook === null ? cancelWhenGone(call.ask, id, call.signal) : null;
  const waiting = waitFor(call, id, Math.min(patience, MOST_WAIT_SECONDS));
  const ended = await waiting.finally(() => stopWatching?.());
  if (ended?.error && ended.stage === 'failed') throw AppError.fromData(ended.error);
  if (ended) return wordEnded(call, ended);
  const record = await call.ask((host) => host.job(id));
  if (!record) throw new AppError('not_found', 'Request not found');
  const fetchUrl = call.url(`${BASE.slice(1)}/fetch/${toRequestId(id)}`);
  return wordProcessing(record, reply, fetchUrl, futureUrls(call, record, reply));
}

/** The job's record once it has ended, or null when it takes longer. */
async function waitFor(
  call: Pick<Call<unknown, unknown>, 'ask'>,
  id: JobId,
  seconds: number,
): Promise<JobRecord | null> {
  if (seconds <= 0) return null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeUp = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), seconds * 1000);
  });
  try {
    return await Promise.race([call.ask((host) => host.wait(id)), timeUp]);
  } finally {
    clearTimeout(timer);
  }
}

type Answering = Pick<Call<unknown, unknown>, 'ask' | 'url' | 'note'>;

async function wordEnded(call: Answering, record: JobRecord) {
  const reply = readReply(record);
  const output = await publishOutput(call, record, reply);
  call.note(record);
  return output.length > 0 ? wordSuccess(record, reply, output) : wordFailure(record);
}

/** The answer for a job looked up by its integer id. @param client whose jobs are searched @throws AppError `not_found` */
export async function answerFetch(call: Answering, client: string, requestId: string): Promise<unknown> {
  const ids = await call.ask((host) => host.jobIds(client));
  const id = ids.find((own) => String(toRequestId(own)) === requestId || own === requestId);
  const record = id === undefined ? undefined : await call.ask((host) => host.job(id));
  if (!record) throw new AppError('not_found', 'Request not found');
  const underWay = record.stage === 'queued' || record.stage === 'running';
  return underWay ? wordStillProcessing(record) : wordEnded(call, record);
}
