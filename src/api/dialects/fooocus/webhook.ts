import type { Webhook, WebhookCall } from '#api/webhooks.ts';
import type { JobRecord } from '#protocol/job.ts';
import { readReply, toImageResults } from './jobs.ts';

/** What `webhook_url` receives when a job ends: no images if it failed. */
export async function writeWebhook(call: WebhookCall, record: JobRecord): Promise<Webhook | null> {
  const { webhookUrl } = readReply(record);
  if (webhookUrl === '') return null;
  const results = await toImageResults(call, record);
  return {
    url: webhookUrl,
    body: { job_id: record.id, job_result: results.map(({ url, seed }) => ({ url, seed })) },
  };
}
