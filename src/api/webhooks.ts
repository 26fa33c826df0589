import { stringifyJson } from '#codecs/json.ts';
import type { JobRecord } from '#protocol/job.ts';
import { writeWebhook as writeFooocusWebhook } from './dialects/fooocus/webhook.ts';
import { writeWebhook as writeModelsLabWebhook } from './dialects/modelslab/webhook.ts';
import type { Call } from './route.ts';

/** A client's server that wants to hear of a job's end, and what it is told. */
export interface Webhook {
  url: string;
  body: unknown;
}

/** What a dialect needs to word a webhook. */
export type WebhookCall = Pick<Call<unknown, unknown>, 'ask' | 'url'>;

/** The webhook of an ended job, or null where none was asked for. */
type WebhookWriter = (call: WebhookCall, record: JobRecord) => Promise<Webhook | null>;

const writers: Readonly<Record<string, WebhookWriter>> = {
  fooocus: writeFooocusWebhook,
  modelslab: writeModelsLabWebhook,
};

/** The services give a webhook 15 to 30 seconds. */
const TIMEOUT_MS = 15_000;

/**
 * Tells the client's server that a job has ended, if its request asked for that. It is tried once; whether the
 * server liked it is not looked at. To be called by the tab that hosts the engine, once a job has ended: service
 * workers do not live as long as jobs do.
 */
export async function sendWebhook(call: WebhookCall, record: JobRecord): Promise<void> {
  const webhook = await writers[record.origin.client]?.(call, record);
  if (!webhook) return;
  const message = {
    method: 'POST',
    body: stringifyJson(webhook.body),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  };
  try {
    await fetch(webhook.url, { ...message, headers: { 'Content-Type': 'application/json' } });
  } catch {
    // A server that allows no cross-origin JSON still takes a plain text.
    await fetch(webhook.url, { ...message, mode: 'no-cors' }).catch(() => undefined);
  }
}
