import { describe, expect, it } from 'vitest';
import { describeProgress } from '#api/dialects/fooocus/jobs.ts';
import { createApi } from '#api/index.ts';
import { decodePng } from '#codecs/png.ts';
import { createProgress } from '#engine/stages/run/progress.ts';
import { AppError } from '#protocol/error.ts';
import { generate, type Json, postExample, untilFinished } from '../../../../support/fooocus.ts';
import { createFakeHost } from '../../../../support/fake-host.ts';
import { jsonOf, post } from '../../../../support/http.ts';
import { waitFor } from '../../../../support/wait-for.ts';

describe('jobs', () => {
  it('are followed from waiting to finished, with previews on the way', async () => {
    const host = createFakeHost({ stepMs: 10 });
    const api = createApi(host);
    const started = await jsonOf<Json>(postExample(api, { async_process: true }));
    expect(started).toEqual({
      job_id: expect.stringMatching(/^[\da-f-]{36}$/) as string,
      job_type: 'Text to Image',
      job_stage: expect.stringMatching(/^(WAITING|RUNNING)$/) as string,
      job_progress: 0,
      job_status: null,
      job_step_preview: null,
      job_result: null,
    });
    const query = `/v1/generation/query-job?job_id=${String(started['job_id'])}`;
    const running = await waitFor(async () => {
      const job = await jsonOf<Json>(api.request(`${query}&require_step_preview=true`));
      expect(job).toMatchObject({ job_stage: 'RUNNING', job_step_preview: expect.any(String) as string });
      return job;
    });
    const [, step = 0] = /^Step (\d+)\/30 in the 1-th Sampling$/.exec(String(running['job_status'])) ?? [];
    expect(running['job_progress']).toBe(Math.floor(15 + 85 * (Number(step) / 30)));
    const preview = decodePng(Uint8Array.from(Buffer.from(String(running['job_step_preview']), 'base64')));
    expect(preview.data[0]).toBeGreaterThanOrEqual(Number(step));
    expect((await jsonOf<Json>(api.request(query)))['job_step_preview']).toBeNull();

    expect(await untilFinished(api, started['job_id'])).toMatchObject({
      job_stage: 'SUCCESS',
      job_progress: 100,
      job_status: 'Finished',
      job_step_preview: null,
      job_result: [{ base64: null, seed: '1234', finish_reason: 'SUCCESS' }],
    });
  });

  it('show no preview with disable_preview', async () => {
    const host = createFakeHost({ stepMs: 10 });
    const api = createApi(host);
    const { job_id } = await jsonOf<Json>(
      postExample(api, {
        async_process: true,
        advanced_params: { disable_preview: true },
      }),
    );
    await waitFor(async () => expect(await host.host.preview(String(job_id))).toBeDefined());
    const job = await jsonOf<Json>(
      api.request(`/v1/generation/query-job?job_id=${String(job_id)}&require_step_preview=1`),
    );
    expect(job['job_step_preview']).toBeNull();
  });

  it('that fail end in ERROR, and keep their text to themselves', async () => {
    const api = createApi(createFakeHost({ failure: new AppError('internal', 'Boom') }));
    const { job_id } = await jsonOf<Json>(postExample(api, { async_process: true }));
    expect(await untilFinished(api, job_id)).toMatchObject({ job_stage: 'ERROR', job_result: null });
  });

  it('that are not known are answered with 404 and a job that is not found', async () => {
    const response = await createApi(createFakeHost()).request('/v1/generation/query-job?job_id=nothing');
    expect(response.status).toBe(404);
    expect(await jsonOf<Json>(response)).toEqual({
      job_id: '',
      job_type: 'Not Found',
      job_stage: 'ERROR',
      job_progress: 0,
      job_status: 'Job not found',
      job_step_preview: null,
      job_result: null,
    });
  });

  it('need an id to be asked for', async () => {
    const response = await createApi(createFakeHost()).request('/v1/generation/query-job');
    expect(response.status).toBe(422);
    expect(await jsonOf<Json>(response)).toMatchObject({
      detail: [{ type: 'missing', loc: ['query', 'job_id'], msg: 'Field required' }],
    });
  });

  it('are counted, waiting and running ones together', async () => {
    const host = createFakeHost();
    const api = createApi(host);
    expect(await jsonOf<Json>(api.request('/v1/generation/job-queue'))).toEqual({
      running_size: 0,
      finished_size: 0,
      last_job_id: null,
    });
    const { job_id } = await jsonOf<Json>(postExample(api, { async_process: true }));
    await untilFinished(api, job_id);
    for (const path of ['/v1/generation/job-queue', '/v1/engines/job-queue']) {
      expect(await jsonOf<Json>(api.request(path))).toEqual({
        running_size: 0,
        finished_size: 1,
        last_job_id: job_id,
      });
    }
  });

  it('are listed with their times, one by its id, and deleted with their files', async () => {
    const api = createApi(createFakeHost());
    const [first] = await generate(api);
    await generate(api);
    const { last_job_id: id } = await jsonOf<Json>(api.request('/v1/generation/job-queue'));
    const all = await jsonOf<{ queue: Json[]; history: Json[] }>(api.request('/v1/generation/job-history'));
    expect(all.queue).toEqual([]);
    expect(all.history).toHaveLength(2);
    const millis = expect.any(Number) as number;
    const one = await jsonOf<Json>(api.request(`/v1/generation/job-history?job_id=${String(id)}`));
    expect(one).toEqual({
      queue: [],
      history: [
        { job_id: id, in_queue_mills: millis, start_mills: millis, finish_mills: millis, is_finished: true },
      ],
    });

    const firstId = all.history.find(({ job_id }) => job_id !== id)?.['job_id'];
    const remove = `/v1/generation/job-history?delete=true&job_id=${String(firstId)}`;
    expect(await jsonOf<Json>(api.request(remove))).toEqual({ message: 'Deleted' });
    expect(await jsonOf<Json>(api.request(remove))).toEqual({ message: 'Not found' });
    expect((await api.request(first?.url ?? '')).status).toBe(404);
  });

  it('can be stopped when there is none', async () => {
    expect(await jsonOf<Json>(post(createApi(createFakeHost()), '/v1/generation/stop'))).toEqual({
      msg: 'success',
    });
  });

  it('that were stopped end as SUCCESS, and the next one runs', async () => {
    const host = createFakeHost({ stepMs: 5 });
    const api = createApi(host);
    const first = await jsonOf<Json>(postExample(api, { async_process: true }));
    const second = await jsonOf<Json>(
      postExample(api, { async_process: true, performance_selection: 'Lightning' }),
    );
    expect(second['job_stage']).toBe('WAITING');
    await waitFor(() => expect(host.jobs).toHaveLength(1));
    await post(api, '/v1/generation/stop');
    expect(await untilFinished(api, first['job_id'])).toMatchObject({ job_stage: 'SUCCESS', job_result: [] });
    expect(await untilFinished(api, second['job_id'])).toMatchObject({
      job_stage: 'SUCCESS',
      job_result: [{ finish_reason: 'SUCCESS' }],
    });
  });

  it('of several images grow to 100 in whole numbers', async () => {
    const api = createApi(createFakeHost({ stepMs: 2 }));
    const changes = { image_number: 3, async_process: true, advanced_params: { overwrite_step: 5 } };
    const { job_id } = await jsonOf<Json>(postExample(api, changes));
    const seen: number[] = [];
    await waitFor(
      async () => {
        const job = await jsonOf<Json>(api.request(`/v1/generation/query-job?job_id=${String(job_id)}`));
        seen.push(Number(job['job_progress']));
        expect(job['job_stage']).toBe('SUCCESS');
      },
      { interval: 1 },
    );
    expect(seen.every(Number.isInteger)).toBe(true);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(seen.at(-1)).toBe(100);
  });

  it("grow through all phases of the engine's runs", () => {
    const seen: number[] = [];
    const words = new Set<string | null>();
    const engine = createProgress(3, (progress) => {
      const { job_progress, job_status } = describeProgress(progress);
      seen.push(job_progress);
      words.add(job_status);
    });
    engine.expect([{ steps: 4, size: { width: 64, height: 64 } }]);
    for (let image = 0; image < 3; image++) {
      engine.loading();
      engine.encoding();
      engine.sampling(0, 4);
      for (let step = 1; step <= 4; step++) engine.step(step, 1);
      engine.decoding();
      engine.finished();
    }
    expect(seen.every(Number.isInteger)).toBe(true);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect([seen[0], seen.at(-1)]).toEqual([5, 100]);
    expect(words).toContain('Step 4/4 in the 3-th Sampling');
    expect(words).toContain('Saving image 3/3 to system ...');
  });
});
