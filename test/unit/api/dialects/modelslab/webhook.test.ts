import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { modelslab } from '#api/dialects/modelslab/index.ts';
import { createApi } from '#api/index.ts';
import { sendWebhook } from '#api/webhooks.ts';
import { AppError } from '#protocol/error.ts';
import { createFakeHost } from '../../../../support/fake-host.ts';
import { answerOf, example, post } from './request.ts';
import { waitFor } from '../../../../support/wait-for.ts';

describe('webhook', () => {
  const sent: { url: string; body: unknown }[] = [];
  beforeEach(() => {
    sent.length = 0;
    vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
      sent.push({ url, body: JSON.parse(init.body as string) as unknown });
      return Promise.resolve(new Response());
    });
  });
  afterEach(() => vi.unstubAllGlobals());

  /** The part of a tab that tells webhooks of jobs' ends. */
  function createNotifyingHost(options: Parameters<typeof createFakeHost>[0]) {
    const host = createFakeHost({
      ...options,
      onEnded: (record) => {
        const call = {
          ask: <T>(question: (asked: typeof host.host) => Promise<T>) => question(host.host),
          url: (path: string) => `http://localhost/${path}`,
        };
        void sendWebhook([modelslab], call, record);
      },
    });
    return host;
  }

  it('hears of success, with the track_id as it was sent', async () => {
    const host = createNotifyingHost({});
    const answer = await answerOf(
      post(createApi(host), 'text2img', { ...example, webhook: 'https://example.com/hook', track_id: 'A-7' }),
    );
    await waitFor(() => expect(sent).toHaveLength(1));
    expect(sent[0]).toEqual({
      url: 'https://example.com/hook',
      body: {
        status: 'success',
        id: answer['id'],
        output: answer['output'],
        generationTime: answer['generationTime'],
        track_id: 'A-7',
        meta: answer['meta'],
      },
    });
  });

  it('hears of failure', async () => {
    const host = createNotifyingHost({ failure: new AppError('device_lost', 'The GPU was lost.') });
    await post(createApi(host), 'text2img', { ...example, webhook: 'https://example.com/hook' });
    await waitFor(() => expect(sent).toHaveLength(1));
    expect(sent[0]?.body).toMatchObject({ status: 'failed', message: 'The GPU was lost.', track_id: null });
  });

  it('is not called where it was not asked for', async () => {
    const host = createNotifyingHost({});
    await post(createApi(host), 'text2img', example);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(sent).toEqual([]);
  });
});
