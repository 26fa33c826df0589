import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { pixelsOf, progressOf, SMALL, type Progress, type Txt2imgAnswer } from '../../../../support/a1111.ts';
import { createFakeHost, testAddOn } from '../../../../support/fake-host.ts';
import { jsonOf, post } from '../../../../support/http.ts';

describe('while a job runs', () => {
  it('tells its progress and ends it early with what there is', async () => {
    const api = createApi(createFakeHost({ stepMs: 5 }));
    const answering = post(api, '/sdapi/v1/txt2img', {
      ...SMALL,
      n_iter: 4,
      steps: 40,
      force_task_id: 'mine',
    });
    await expect.poll(async () => (await progressOf(api)).state.sampling_step).toBeGreaterThan(1);
    const progress = await progressOf(api);
    expect(progress).toMatchObject({
      state: { job: 'Batch 1 out of 4', job_count: 4, job_no: 0, sampling_steps: 40, skipped: false },
      textinfo: null,
    });
    expect(progress.progress).toBeGreaterThan(0.01);
    expect(progress.progress).toBeLessThan(0.3);
    expect(pixelsOf(progress.current_image).width).toBe(8);
    const quiet = await jsonOf<Progress>(api.request('/sdapi/v1/progress?skip_current_image=true'));
    expect(quiet.current_image).toBeNull();
    const task = await jsonOf<{ live_preview: string }>(post(api, '/internal/progress', { id_task: 'mine' }));
    expect(task).toMatchObject({ active: true, queued: false, completed: false });
    expect(task.live_preview).toMatch(/^data:image\/png;base64,/);

    const interrupted = await post(api, '/sdapi/v1/interrupt');
    expect(await interrupted.json()).toEqual({});
    const answer = await jsonOf<Txt2imgAnswer>(answering);
    expect(answer.images.length).toBeGreaterThan(0);
    expect(answer.images.length).toBeLessThan(4);
    expect((await progressOf(api)).state.job_count).toBe(0);
  });

  it('says what it waits for while that arrives', async () => {
    const faces = testAddOn('finder', 'faces', { installed: false });
    const included = { ...faces, pack: { ...faces.pack, url: 'models/faces' } };
    const api = createApi(createFakeHost({ stepMs: 5, downloadMs: 100, addOns: [included] }));
    const ADetailer = { args: [{ ad_model: 'face_yolov8n.pt' }] };
    const body = { ...SMALL, steps: 100, force_task_id: 'mine', alwayson_scripts: { ADetailer } };
    const answering = post(api, '/sdapi/v1/txt2img', body);
    const text = /^Downloading faces: \d0 %$/;
    await expect.poll(async () => (await progressOf(api)).textinfo).toMatch(text);
    const task = await jsonOf<{ textinfo: string }>(post(api, '/internal/progress', { id_task: 'mine' }));
    expect(task).toMatchObject({ active: true, textinfo: expect.stringContaining('faces') as string });
    await expect.poll(async () => (await progressOf(api)).state.sampling_step).toBeGreaterThan(1);
    expect((await progressOf(api)).textinfo).toBeNull();
    await post(api, '/sdapi/v1/interrupt');
    await answering;
  });

  it('skips a batch', async () => {
    const api = createApi(createFakeHost({ stepMs: 5 }));
    const answering = post(api, '/sdapi/v1/txt2img', { ...SMALL, n_iter: 2, steps: 100 });
    await expect.poll(async () => (await progressOf(api)).state.sampling_step).toBeGreaterThan(1);
    expect(await (await post(api, '/sdapi/v1/skip')).json()).toBeNull();
    await expect.poll(async () => (await progressOf(api)).state.job_no).toBe(1);
    await post(api, '/sdapi/v1/skip');
    expect((await jsonOf<Txt2imgAnswer>(answering)).images).toHaveLength(2);
  });

  it('is idle otherwise', async () => {
    const response = await createApi(createFakeHost()).request('/sdapi/v1/progress');
    expect(await response.json()).toMatchObject({
      progress: 0,
      eta_relative: 0,
      current_image: null,
      state: { job: '', job_count: 0 },
    });
  });

  it('counts each pass of a batch as a job, as the original does with hires fix', async () => {
    const fake = createFakeHost({ stepMs: 5 });
    const api = createApi(fake);
    await post(api, '/sdapi/v1/txt2img', SMALL);
    const [once] = fake.jobs;
    if (!once) throw new Error('There is no job.');
    const twice = { ...once, passes: [...once.passes, { ...once.passes[0], steps: 100 }] } as const;
    const id = await fake.host.submit(crypto.randomUUID(), twice, { client: 'app', requestKey: null });
    await expect.poll(async () => (await progressOf(api)).state.job_no).toBe(1);
    const { progress, state } = await progressOf(api);
    expect(state).toMatchObject({ job: 'Batch 2 out of 2', job_count: 2, sampling_steps: 100 });
    expect(progress).toBeGreaterThan(0.5);
    await fake.host.cancel(id);
    await expect.poll(async () => (await progressOf(api)).state.job_count).toBe(0);
  });
});
