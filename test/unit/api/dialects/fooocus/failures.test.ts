import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { AppError } from '#protocol/error.ts';
import { generate, type Json, postExample } from '../../../../support/fooocus.ts';
import { createFakeHost } from '../../../../support/fake-host.ts';
import { jsonOf, post } from '../../../../support/http.ts';
import { waitFor } from '../../../../support/wait-for.ts';

describe('failures of a synchronous generation', () => {
  it('is an empty list when the job failed', async () => {
    const host = createFakeHost({ failure: new AppError('out_of_memory', 'Too large.') });
    expect(await generate(createApi(host))).toEqual([]);
  });

  it('is the images finished so far when it was stopped', async () => {
    const host = createFakeHost({ stepMs: 2 });
    const api = createApi(host);
    const answer = generate(api, { image_number: 8, advanced_params: { overwrite_step: 5 } });
    await waitFor(async () => {
      const [job] = await host.host.jobs();
      expect(job?.result?.artifacts.length).toBeGreaterThanOrEqual(1);
    });
    expect(await jsonOf<Json>(post(api, '/v1/generation/stop'))).toEqual({ msg: 'success' });
    const results = await answer;
    expect(results.length).toBeGreaterThanOrEqual(1);
    expect(results.length).toBeLessThan(8);
    expect(results.every(({ finish_reason }) => finish_reason === 'SUCCESS')).toBe(true);
  });

  it('is one item that says so when the queue is full, in each form', async () => {
    const api = createApi(createFakeHost({ stepMs: 1000 }));
    for (let i = 0; i < 100; i++) await postExample(api, { async_process: true });
    const full = { base64: null, url: null, seed: '', finish_reason: 'QUEUE_IS_FULL' };
    expect(await generate(api)).toEqual([full]);
    expect(await jsonOf<Json>(postExample(api, { async_process: true }))).toEqual({
      job_id: '',
      job_type: 'Text to Image',
      job_stage: 'ERROR',
      job_progress: 0,
      job_status: null,
      job_step_preview: null,
      job_result: [full],
    });
    for (const async_process of [false, true]) {
      const png = await postExample(api, { async_process }, { Accept: 'image/png' });
      expect([png.status, await png.text()]).toEqual([409, 'QUEUE_IS_FULL']);
    }
  });

  it('is a 503 when no tab is open', async () => {
    const host = createFakeHost();
    host.vanish();
    const response = await postExample(createApi(host));
    expect(response.status).toBe(503);
    expect(await jsonOf<Json>(response)).toEqual({ detail: expect.stringContaining('tab') as string });
  });
});
