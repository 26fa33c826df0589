import { imagePaths, imageUrl, publishImages } from '#api/files.ts';
import type { Call } from '#api/route.ts';
import type { Webhook, WebhookCall } from '#api/webhooks.ts';
import { isAnyUnsafe, type JobId, type JobRecord } from '#protocol/job.ts';
import * as v from 'valibot';
import { replySchema, type Reply } from './schema.ts';

/** Seconds between two looks at a job whose time left is not known yet. */
const UNKNOWN_ETA = 5;

/** How long links last that are temporary: 24 hours. */
export const TEMP_MS = 24 * 60 * 60 * 1000;

/** The notes of a job of this dialect. */
export function readReply(record: JobRecord): Reply {
  return v.parse(replySchema, record.origin.reply);
}

/** The service's ids are integers: the first 31 bits of the job's UUID. */
export function toRequestId(id: JobId): number {
  return Number.parseInt(id.slice(0, 8), 16) >>> 1;
}

/** Where images are served as base64 text; those of other requests are under `/files/`. */
export const BASE64_FOLDER = 'api/v1/enterprise/generations';

type Urls = Pick<Call<unknown, unknown>, 'ask' | 'url'>;

/** Gives the images of an ended job their URLs. */
export async function publishOutput(call: Urls, record: JobRecord, reply: Reply): Promise<string[]> {
  const until = reply.temp ? { until: record.queuedAt + TEMP_MS } : {};
  const urls = await publishImages(call, record, record.id, until);
  return reply.base64 ? urls.map((url) => toBase64Url(call, url)) : urls;
}

/** The URLs that the images of a job under way will have. */
export function futureUrls(call: Pick<Urls, 'url'>, record: JobRecord, reply: Reply): string[] {
  const urls = imagePaths(record, record.id).map((path) => imageUrl(call, path));
  return reply.base64 ? urls.map((url) => toBase64Url(call, url)) : urls;
}

function toBase64Url(call: Pick<Urls, 'url'>, url: string): string {
  const [date = '', name = ''] = new URL(url).pathname.split('/').slice(-2);
  return call.url(`${BASE64_FOLDER}/${date}/${name.replace(/\.png$/, '.base64')}`);
}

/** The answer for a job that is done, with its images' URLs. */
export function wordSuccess(record: JobRecord, reply: Reply, output: readonly string[]) {
  const tips = [...(reply.tip === null ? [] : [reply.tip]), ...(record.result?.notes ?? [])];
  return {
    status: 'success',
    ...(tips.length > 0 && { tip: tips.join(' ') }),
    generationTime: Math.round((record.result?.seconds ?? 0) * 100) / 100,
    id: toRequestId(record.id),
    output,
    proxy_links: output,
    nsfw_content_detected: isAnyUnsafe(record.result),
    webhook_status: '',
    meta: { ...reply.meta, file_prefix: record.id },
  };
}

/** The first answer for a job that takes longer. */
export function wordProcessing(
  record: JobRecord,
  reply: Reply,
  fetchUrl: string,
  futureLinks: readonly string[],
) {
  return {
    status: 'processing',
    tip: reply.tip ?? 'Your request is being processed. Get the images from fetch_result.',
    eta: estimateSeconds(record),
    messege: 'Try to fetch request after seconds estimated',
    message: 'Try to fetch request after seconds estimated',
    webhook_status: '',
    fetch_result: fetchUrl,
    id: toRequestId(record.id),
    output: [],
    meta: { ...reply.meta, file_prefix: record.id },
    future_links: futureLinks,
  };
}

/** The answer to a fetch before the result is ready. */
export function wordStillProcessing(record: JobRecord) {
  return {
    status: 'processing',
    id: toRequestId(record.id),
    messege: 'Request processing',
    message: 'Request processing',
    output: '',
    eta: estimateSeconds(record),
  };
}

/** The answer for a job that failed or was stopped before its first image. */
export function wordFailure(record: JobRecord) {
  const message = record.error?.message ?? 'The request was cancelled.';
  return { status: 'failed', id: toRequestId(record.id), message, messege: message, output: '' };
}

function wordWebhook(record: JobRecord, reply: Reply, output: readonly string[]) {
  const track = { track_id: reply.track_id };
  if (output.length === 0) {
    const { status, id, message } = wordFailure(record);
    return { status, id, message, ...track };
  }
  const { status, id, generationTime, meta } = wordSuccess(record, reply, output);
  return { status, id, output, generationTime, ...track, meta };
}

/** What `webhook` receives when a job ends. */
export async function writeWebhook(call: WebhookCall, record: JobRecord): Promise<Webhook | null> {
  const reply = readReply(record);
  if (reply.webhook === null) return null;
  const output = await publishOutput(call, record, reply);
  return { url: reply.webhook, body: wordWebhook(record, reply, output) };
}

function estimateSeconds(record: JobRecord): number {
  return Math.max(1, Math.round(record.progress?.secondsLeft ?? UNKNOWN_ETA));
}
