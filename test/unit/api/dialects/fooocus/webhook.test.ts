import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { dialects } from '#api/dialects/index.ts';
import { createApi } from '#api/index.ts';
import { sendWebhook } from '#api/webhooks.ts';
import { AppError } from '#protocol/error.ts';
import { generate, postExample } from '../../../../support/fooocus.ts';
import { createFakeHost } from '../../../../support/fake-host.ts';
import { waitFor } from '../../../../support/wait-for.ts';

describe('webhook', () => {
  const sent: { url: string; body: unknown; mode: string | undefined }[] = [];
  let blocked = false;
  beforeEach(() => {
    sent.length = 0;
    blocked = false;
    vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
      if (blocked && init.mode !== 'no-cors') return Promise.reject(new TypeError('Failed to fetch'));
      sent.push({ url, body: JSON.parse(init.body as string) as unknown, mode: init.mode });
      return Promise.resolve(new Response());
    });
  });
  afterEach(() => vi.unstubAllGlobals());

  /** The part of a tab that tells webhooks of jobs' ends. */
  function createNotifyingHost(options: Parameters<typeof createFakeHost>[0] = {}) {
    const host = createFakeHost({
      ...options,
      onEnded: (record) => {
        const call = {
          ask: <T>(question: (asked: typeof host.host) => Promise<T>) => question(host.host),
          url: (path: string) => `http://localhost/${path}`,
        };
        void sendWebhook(dialects, call, record);
      },
    });
    return host;
  }

  it('carries the images when a job ends, asked for or waited for', async () => {
    const api = createApi(createNotifyingHost());
    const request = { webhook_url: 'https://EXAMPLE.com/hook', image_number: 2 };
    const results = await generate(api, request);
    await waitFor(() => expect(sent).toHaveLength(1));
    expect(sent[0]).toMatchObject({
      url: 'https://EXAMPLE.com/hook',
      body: {
        job_id: expect.any(String) as string,
        job_result: results.map(({ url, seed }) => ({ url, seed })),
      },
    });
    await postExample(api, { ...request, async_process: true });
    await waitFor(() => expect(sent).toHaveLength(2));
    const {
      job_result: [image],
    } = sent[1]?.body as { job_result: { url: string }[] };
    expect((await api.request(image?.url ?? '')).status).toBe(200);
  });

  it('carries no image when it failed', async () => {
    const api = createApi(createNotifyingHost({ failure: new AppError('internal', 'Boom') }));
    await generate(api, { webhook_url: 'https://EXAMPLE.com/hook' });
    await waitFor(() => expect(sent).toHaveLength(1));
    expect(sent[0]?.body).toMatchObject({ job_result: [] });
  });

  it('is sent without CORS where the server does not allow it', async () => {
    blocked = true;
    await generate(createApi(createNotifyingHost()), { webhook_url: 'https://EXAMPLE.com/hook' });
    await waitFor(() => expect(sent).toHaveLength(1));
    expect(sent[0]?.mode).toBe('no-cors');
  });
});
