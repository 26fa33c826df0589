import { stringifyJson } from '#codecs/json.ts';
import type { JobRecord } from '#protocol/job.ts';
import type { Call, Dialect } from './route.ts';

/** A client's server to notify at a job's end, and what it receives. */
export interface Webhook {
  url: string;
  body: unknown;
}

/** What a dialect needs to word a webhook. */
export type WebhookCall = Pick<Call<unknown, unknown>, 'ask' | 'url'>;

/** The services give a webhook 15 to 30 seconds. */
const TIMEOUT_MS = 15_000;

/**
 * Notifies the client's server that a job has ended, if its request asked for that. It is tried once; whether the
 * server accepted it is not checked. The service worker calls this when a job has ended, because pages may reach no other
 * server.
 * @param dialects those whose jobs may have webhooks
 */
export async function sendWebhook(
  dialects: readonly Dialect[],
  call: WebhookCall,
  record: JobRecord,
): Promise<void> {
  const dialect = dialects.find(({ name }) => name === record.origin.client);
  const webhook = await dialect?.webhook?.(call, record);
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
