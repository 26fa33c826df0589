import type { Webhook, WebhookCall } from '#api/webhooks.ts';
import type { JobRecord } from '#protocol/job.ts';
import { publishOutput, readReply, wordWebhook } from './map.ts';

/** What a job's end tells `webhook`. */
export async function writeWebhook(call: WebhookCall, record: JobRecord): Promise<Webhook | null> {
  const reply = readReply(record);
  if (reply.webhook === null) return null;
  const output = await publishOutput(call, record, reply);
  return { url: reply.webhook, body: wordWebhook(record, reply, output) };
}
