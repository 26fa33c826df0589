import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { AppError } from '#protocol/error.ts';
import { createFakeHost } from '../../../../support/fake-host.ts';
import { answerOf, BASE, example, post } from './request.ts';
import { waitFor } from '../../../../support/wait-for.ts';

describe('processing and fetch', () => {
  it('answers processing when the wait is over, and success to a later fetch', async () => {
    const host = createFakeHost({ stepMs: 5, settings: { 'modelslab.wait_seconds': 0 } });
    const api = createApi(host);
    const processing = await answerOf(post(api, 'text2img', { ...example, num_inference_steps: 6 }));
    const id = processing['id'] as number;
    expect(processing).toMatchObject({
      status: 'processing',
      messege: 'Try to fetch request after seconds estimated',
      message: 'Try to fetch request after seconds estimated',
      eta: expect.any(Number) as number,
      fetch_result: `http://localhost${BASE}/fetch/${id}`,
      output: [],
      meta: { seed: 1234, steps: 6 },
    });

    const early = await answerOf(post(api, 'fetch', { key: 'k', request_id: String(id) }));
    expect(early).toEqual({
      status: 'processing',
      id,
      messege: 'Request processing',
      message: 'Request processing',
      output: '',
      eta: expect.any(Number) as number,
    });

    await waitFor(async () => {
      const done = await answerOf(post(api, `fetch/${id}`, { key: 'k' }));
      expect(done).toMatchObject({ status: 'success', id, meta: { seed: 1234 } });
      expect(done['output']).toEqual(processing['future_links']);
    });
    expect(await answerOf(post(api, `images/fetch/${id}`, { key: 'k' }))).toMatchObject({
      status: 'success',
    });
  });

  it('answers processing after the seconds that the setting says', async () => {
    const host = createFakeHost({ stepMs: 20, settings: { 'modelslab.wait_seconds': 0.03 } });
    const answer = await answerOf(post(createApi(host), 'text2img', { ...example, num_inference_steps: 20 }));
    expect(answer).toMatchObject({ status: 'processing' });
  });

  it('tells a failed job as failed', async () => {
    const host = createFakeHost({
      failure: new AppError('out_of_memory', 'The image is too large for this machine.'),
      settings: { 'modelslab.wait_seconds': 0 },
    });
    const api = createApi(host);
    const { id } = await answerOf(post(api, 'text2img', example));
    await waitFor(async () =>
      expect(await answerOf(post(api, `fetch/${String(id)}`, { key: 'k' }))).toEqual({
        status: 'failed',
        id,
        message: 'The image is too large for this machine.',
        messege: 'The image is too large for this machine.',
        output: '',
      }),
    );
  });

  it('answers 404 to an id it does not know', async () => {
    const response = await post(createApi(createFakeHost()), 'fetch/12345', { key: 'k' });
    expect(response.status).toBe(404);
    expect(await answerOf(response)).toMatchObject({ status: 'error', message: 'Request not found' });
  });

  it('cancels what waits on clear_queue', async () => {
    const host = createFakeHost({ stepMs: 20, settings: { 'modelslab.wait_seconds': 0 } });
    const api = createApi(host);
    await post(api, 'text2img', example);
    const { id } = await answerOf(post(api, 'text2img', example));
    expect(await answerOf(post(api, 'clear_queue', { key: 'k' }))).toEqual({
      status: 'success',
      message: 'Operation completed successfully',
    });
    expect(await answerOf(post(api, `fetch/${String(id)}`, { key: 'k' }))).toMatchObject({
      status: 'failed',
    });
  });
});
