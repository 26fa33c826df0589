import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createApi, type Api } from '#api/index.ts';
import { sendWebhook } from '#api/webhooks.ts';
import { readPngText } from '#codecs/png-text.ts';
import { decodePng } from '#codecs/png.ts';
import { samplers, schedules } from '#api/dialects/fooocus/samplers.ts';
import { isKDiffusionSamplerName } from '#engine/samplers/k-diffusion/index.ts';
import { isSigmaScheduleName } from '#engine/samplers/k-diffusion/sigma-schedules.ts';
import { AppError } from '#protocol/error.ts';
import {
  OWN_GRAPHS_MODEL,
  TEST_MODEL,
  colourOf,
  createFakeHost,
  testAddOn,
} from '../../support/fake-host.ts';

const TEXT_TO_IMAGE = '/v1/generation/text-to-image';

const example = {
  prompt: 'a red apple',
  negative_prompt: 'blurry',
  style_selections: [],
  aspect_ratios_selection: '256*128',
  image_seed: 1234,
};

type Json = Record<string, unknown>;

interface ImageResult {
  base64: string | null;
  url: string;
  seed: string;
  finish_reason: string;
}

function post(
  api: Api,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  return api.request(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
}

function postForm(
  api: Api,
  path: string,
  parts: Record<string, string | Blob | string[]>,
): Promise<Response> {
  const form = new FormData();
  for (const [name, value] of Object.entries(parts)) {
    for (const part of Array.isArray(value) ? value : [value]) form.append(name, part);
  }
  return api.request(path, { method: 'POST', body: form });
}

async function jsonOf<T = Json>(response: Response | Promise<Response>): Promise<T> {
  return (await (await response).json()) as T;
}

async function bytesOf(response: Response | Promise<Response>): Promise<Uint8Array> {
  return new Uint8Array(await (await response).arrayBuffer());
}

async function generate(api: Api, request: Json = {}): Promise<ImageResult[]> {
  return jsonOf<ImageResult[]>(post(api, TEXT_TO_IMAGE, { ...example, ...request }));
}

async function untilFinished(api: Api, id: unknown): Promise<Json> {
  return vi.waitFor(async () => {
    const job = await jsonOf(api.request(`/v1/generation/query-job?job_id=${String(id)}`));
    if (job['job_stage'] === 'WAITING' || job['job_stage'] === 'RUNNING') throw new Error('still at work');
    return job;
  });
}

describe('text-to-image', () => {
  it('answers with a list of images by URL, their seeds as text', async () => {
    const api = createApi(createFakeHost());
    const response = await post(api, TEXT_TO_IMAGE, { ...example, image_number: 2 });
    expect(response.status).toBe(200);
    const results = await jsonOf<ImageResult[]>(response);
    const url = (index: number) =>
      expect.stringMatching(
        `^http://localhost/files/\\d{4}-\\d\\d-\\d\\d/[\\da-f-]{36}-${index}\\.png$`,
      ) as string;
    expect(results).toEqual([
      { base64: null, url: url(0), seed: '1234', finish_reason: 'SUCCESS' },
      { base64: null, url: url(1), seed: '1235', finish_reason: 'SUCCESS' },
    ]);
    const image = decodePng(await bytesOf(api.request(results[1]?.url ?? '')));
    expect([image.width, image.height]).toEqual([256, 128]);
    expect([...image.data.slice(0, 3)]).toEqual(colourOf(1235n));
  });

  it('runs what was asked for, one image after another', async () => {
    const host = createFakeHost();
    await generate(createApi(host), {
      image_number: 2,
      guidance_scale: 3.5,
      advanced_params: { sampler_name: 'euler_ancestral', scheduler_name: 'sgm_uniform', clip_skip: 1 },
    });
    expect(host.jobs[0]).toMatchObject({
      task: 'txt2img',
      model: 'emoji-mini',
      images: [
        { prompt: ['a red apple'], negativePrompt: ['blurry'], seed: 1234n },
        { prompt: ['a red apple'], negativePrompt: ['blurry'], seed: 1235n },
      ],
      batchSize: 1,
      width: 256,
      height: 128,
      steps: 30,
      guidanceScale: 3.5,
      sampler: {
        family: 'k-diffusion',
        sampler: 'euler_ancestral',
        schedule: 'sgm_uniform',
        options: { reference: 'comfyui' },
      },
      noise: { source: 'torch-cpu' },
      promptOptions: { syntax: 'fooocus', clipSkip: 1 },
    });
  });

  it("has the defaults of Fooocus's preset, also for an empty body without a type", async () => {
    const host = createFakeHost();
    const response = await createApi(host).request(TEXT_TO_IMAGE, { method: 'POST', body: '{}' });
    expect(response.status).toBe(200);
    expect(host.jobs[0]).toMatchObject({
      width: 1152,
      height: 896,
      steps: 30,
      guidanceScale: 4,
      sampler: { sampler: 'dpmpp_2m_sde_gpu', schedule: 'karras' },
      promptOptions: { clipSkip: 2 },
    });
    expect(response.headers.has('X-Ignored-Parameters')).toBe(false);
  });

  it('draws a random seed for -1 and for what is out of range', async () => {
    const host = createFakeHost();
    const api = createApi(host);
    const [a] = await generate(api, { image_seed: -1 });
    const [b] = await generate(api, { image_seed: '9223372036854775808' });
    expect(a?.seed).not.toBe(b?.seed);
    for (const result of [a, b]) expect(BigInt(result?.seed ?? '-1') < 1n << 63n).toBe(true);
    const [c, d] = await generate(api, { image_seed: '9223372036854775807', image_number: 2 });
    expect([c?.seed, d?.seed]).toEqual(['9223372036854775807', '0']);
  });

  it('keeps the seed for disable_seed_increment', async () => {
    const results = await generate(createApi(createFakeHost()), {
      image_number: 3,
      advanced_params: { disable_seed_increment: true },
    });
    expect(results.map(({ seed }) => seed)).toEqual(['1234', '1234', '1234']);
  });

  it('encodes style lines and further prompt lines as texts of their own', async () => {
    const host = createFakeHost();
    await generate(createApi(host), {
      prompt: 'a red apple\non a table',
      style_selections: ['Fooocus Sharp', 'No Such Style'],
    });
    const { prompt = [], negativePrompt = [] } = host.jobs[0]?.images[0] ?? {};
    expect(prompt.length).toBeGreaterThanOrEqual(2);
    expect(prompt.some((text) => text.includes('a red apple'))).toBe(true);
    expect(prompt.at(-1)).toBe('on a table');
    expect(negativePrompt).toContain('blurry');
    expect(negativePrompt.length).toBeGreaterThan(1);
  });

  it('fills arrays image by image', async () => {
    const host = createFakeHost();
    await generate(createApi(host), { prompt: 'a [[red,green]] apple', image_number: 3 });
    expect(host.jobs[0]?.images.map(({ prompt }) => prompt[0])).toEqual([
      'a red apple',
      // As in Fooocus, which puts a blank behind each comma and then does not trim the elements.
      'a  green apple',
      'a red apple',
    ]);
  });

  it.each([
    ['Speed', 30, 'dpmpp_2m_sde_gpu', 'karras', 4],
    ['Quality', 60, 'dpmpp_2m_sde_gpu', 'karras', 4],
    ['Extreme Speed', 8, 'lcm', 'lcm', 1],
    ['Lightning', 4, 'euler', 'sgm_uniform', 1],
    ['Hyper-SD', 4, 'dpmpp_sde_gpu', 'karras', 1],
  ])('%s takes %i steps of %s/%s at guidance %i', async (mode, steps, sampler, schedule, guidanceScale) => {
    const host = createFakeHost();
    await generate(createApi(host), { performance_selection: mode });
    expect(host.jobs[0]).toMatchObject({ steps, guidanceScale, sampler: { sampler, schedule } });
  });

  it("names a fast mode's LoRA, which is not there", async () => {
    const response = await post(createApi(createFakeHost()), TEXT_TO_IMAGE, {
      ...example,
      performance_selection: 'Lightning',
    });
    expect(response.headers.get('X-Ignored-Parameters')).toBe(
      'performance_selection:sdxl_lightning_4step_lora.safetensors',
    );
  });

  it('lets overwriting fields win', async () => {
    const host = createFakeHost();
    await generate(createApi(host), {
      performance_selection: 'Lightning',
      advanced_params: { overwrite_step: 7, overwrite_width: 300, overwrite_height: 200 },
    });
    expect(host.jobs[0]).toMatchObject({ steps: 7, width: 296, height: 200 });
  });

  it('takes the default for unknown names and says so', async () => {
    const host = createFakeHost();
    const response = await post(createApi(host), TEXT_TO_IMAGE, {
      ...example,
      prompt: 'an apple <lora:shiny:0.5>',
      base_model_name: 'other.safetensors',
      refiner_model_name: 'refiner.safetensors',
      style_selections: ['No Such Style'],
      loras: [{ model_name: 'a.safetensors', weight: 0.5 }],
      sharpness: 5,
      surprise: true,
      advanced_params: { sampler_name: 'magic', scheduler_name: 'none', adaptive_cfg: 3, vae_name: 'no.pt' },
    });
    expect(response.status).toBe(200);
    expect(host.jobs[0]).toMatchObject({
      model: 'emoji-mini',
      sampler: { sampler: 'dpmpp_2m_sde_gpu', schedule: 'karras' },
      images: [{ prompt: ['an apple'] }],
    });
    const names = response.headers.get('X-Ignored-Parameters')?.split(', ').map(decodeURIComponent).sort();
    expect(names).toEqual([
      'advanced_params.adaptive_cfg',
      'advanced_params.sampler_name',
      'advanced_params.scheduler_name',
      'advanced_params.vae_name',
      'base_model_name',
      'loras:a.safetensors',
      'prompt:lora:shiny',
      'refiner_model_name',
      'sharpness',
      'style_selections:No Such Style',
      'surprise',
    ]);
  });

  describe('with add-ons', () => {
    const addOns = [
      testAddOn('lora', 'shiny'),
      testAddOn('lora', 'sdxl_lightning_4step_lora'),
      testAddOn('lora', 'sd_xl_offset_example-lora_1.0', { family: 'sdxl' }),
      testAddOn('lora', 'on-its-way', { installed: false }),
      testAddOn('vae', 'soft'),
    ];

    it('draws with the LoRAs of the list and of the prompt, and with the VAE', async () => {
      const host = createFakeHost({ addOns });
      const response = await post(createApi(host), TEXT_TO_IMAGE, {
        ...example,
        prompt: 'an apple, <lora:sdxl_lightning_4step_lora:0.3>',
        loras: [
          { model_name: 'None', weight: 1 },
          { model_name: 'shiny.safetensors', weight: 0.5 },
          { model_name: 'on-its-way.safetensors', weight: 0.5 },
        ],
        advanced_params: { vae_name: 'soft.safetensors' },
      });
      expect(host.jobs[0]).toMatchObject({
        loras: [
          { id: 'shiny', strength: 0.5 },
          { id: 'sdxl_lightning_4step_lora', strength: 0.3 },
        ],
        vae: 'soft',
        images: [{ prompt: ['an apple'] }],
      });
      expect(response.headers.get('X-Ignored-Parameters')).toBe('loras:on-its-way.safetensors');
    });

    it("adds a fast mode's LoRA with its weight, once", async () => {
      const host = createFakeHost({ addOns });
      const response = await post(createApi(host), TEXT_TO_IMAGE, {
        ...example,
        prompt: 'an apple, <lora:sdxl_lightning_4step_lora:0.3>',
        loras: [{ model_name: 'shiny', weight: -1 }],
        performance_selection: 'Lightning',
      });
      expect(host.jobs[0]?.loras).toEqual([
        { id: 'shiny', strength: -1 },
        { id: 'sdxl_lightning_4step_lora', strength: 1 },
      ]);
      expect(response.headers.get('X-Ignored-Parameters')).toBe('prompt:lora:sdxl_lightning_4step_lora');
    });

    it("uses the default preset's LoRA with models of its family only", async () => {
      const loras = undefined;
      const host = createFakeHost({ addOns });
      const response = await post(createApi(host), TEXT_TO_IMAGE, { ...example, loras });
      expect(host.jobs[0]?.loras).toBeUndefined();
      expect(response.headers.has('X-Ignored-Parameters')).toBe(false);
      const pack = { ...TEST_MODEL.pack, family: 'sdxl' } as const;
      const large = createFakeHost({ addOns, models: [{ ...TEST_MODEL, pack }] });
      await post(createApi(large), TEXT_TO_IMAGE, { ...example, loras });
      expect(large.jobs[0]?.loras).toEqual([{ id: 'sd_xl_offset_example-lora_1.0', strength: 0.1 }]);
    });

    it('lists the LoRAs that are installed', async () => {
      const api = createApi(createFakeHost({ addOns }));
      expect(await jsonOf(api.request('/v1/engines/all-models'))).toEqual({
        model_filenames: ['emoji-mini.safetensors'],
        lora_filenames: [
          'shiny.safetensors',
          'sdxl_lightning_4step_lora.safetensors',
          'sd_xl_offset_example-lora_1.0.safetensors',
        ],
      });
    });

    it('writes them into the image in both schemes', async () => {
      const asked = {
        loras: [{ model_name: 'shiny', weight: 1 }],
        advanced_params: { vae_name: 'soft' },
      };
      const textOf = async (request: Json) => {
        const api = createApi(createFakeHost({ addOns }));
        const [result] = await generate(api, { ...asked, ...request });
        const texts = await readPngText(await bytesOf(api.request(result?.url ?? '')));
        return texts['parameters'];
      };
      const json = await textOf({});
      expect(json).toContain('"lora_combined_1": "shiny : 1.0", "loras": [["shiny", 1.0, "fedcba9876"]]');
      expect(json).toContain('"vae": "soft"');
      const infotext = await textOf({ meta_scheme: 'a1111' });
      expect(infotext).toContain('VAE: soft,');
      expect(infotext).toContain(
        'Lora hashes: "shiny: fedcba9876", Lora weights: "shiny: 1.0", Version: Fooocus v2.5.3',
      );
    });
  });

  it('says nothing of LoRAs that are switched off', async () => {
    const response = await post(createApi(createFakeHost()), TEXT_TO_IMAGE, {
      ...example,
      loras: [{ enabled: false, model_name: 'a.safetensors' }],
    });
    expect(response.headers.has('X-Ignored-Parameters')).toBe(false);
  });

  it('finds the model by its file name', async () => {
    const response = await post(createApi(createFakeHost()), TEXT_TO_IMAGE, {
      ...example,
      base_model_name: 'emoji-mini.safetensors',
    });
    expect(response.headers.has('X-Ignored-Parameters')).toBe(false);
  });

  it('gives base64 with the prefix of the extension', async () => {
    const [result] = await generate(createApi(createFakeHost()), { require_base64: true });
    const [prefix = '', base64 = ''] = result?.base64?.split(',') ?? [];
    expect(prefix).toBe('data:image/png;base64');
    expect(decodePng(Uint8Array.from(Buffer.from(base64, 'base64'))).width).toBe(256);
  });

  it.each([
    ['png', 'png'],
    ['jpg', 'jpeg'],
    ['jpeg', 'jpeg'],
    ['webp', 'webp'],
  ])('saves as %s', async (save_extension, format) => {
    const host = createFakeHost();
    const [result] = await generate(createApi(host), { save_extension, save_name: 'my image' });
    expect(result?.url).toMatch(new RegExp(`/my%20image-0\\.${save_extension}$`));
    expect(host.jobs[0]?.output).toMatchObject({ format, quality: 0.95 });
  });
});

it('has no sampler or schedule that the engine does not know', () => {
  expect(Object.keys(samplers)).toHaveLength(24);
  expect(Object.keys(samplers).filter((name) => !isKDiffusionSamplerName(name))).toEqual([]);
  expect(schedules.filter((name) => !isSigmaScheduleName(name))).toEqual([]);
});

describe('PNG bytes as the answer', () => {
  it.each([
    [TEXT_TO_IMAGE, { Accept: 'image/png' }],
    [`${TEXT_TO_IMAGE}?accept=image/png`, {}],
  ])('%s %o', async (path, headers) => {
    const host = createFakeHost();
    const response = await post(createApi(host), path, { ...example, image_number: 4 }, headers);
    expect(response.headers.get('Content-Type')).toBe('image/png');
    expect(decodePng(await bytesOf(response)).width).toBe(256);
    expect(host.jobs[0]?.images).toHaveLength(1);
  });

  it('is not for a list of types', async () => {
    const response = await post(createApi(createFakeHost()), TEXT_TO_IMAGE, example, {
      Accept: 'image/png, */*',
    });
    expect(response.headers.get('Content-Type')).toBe('application/json');
  });

  it('answers a failure with 500 ERROR', async () => {
    const host = createFakeHost({ failure: new AppError('device_lost', 'The GPU was lost.') });
    const response = await post(createApi(host), TEXT_TO_IMAGE, example, { Accept: 'image/png' });
    expect([response.status, await response.text()]).toEqual([500, 'ERROR']);
  });

  it('answers a job that was stopped with 400 USER_CANCEL', async () => {
    const host = createFakeHost({ stepMs: 5 });
    const api = createApi(host);
    const answer = post(api, TEXT_TO_IMAGE, example, { Accept: 'image/png' });
    await vi.waitFor(() => expect(host.jobs).toHaveLength(1));
    await post(api, '/v1/generation/stop', undefined);
    const response = await answer;
    expect([response.status, await response.text()]).toEqual([400, 'USER_CANCEL']);
  });

  it('gives way to async_process', async () => {
    const body = { ...example, async_process: true };
    const response = await post(createApi(createFakeHost()), TEXT_TO_IMAGE, body, { Accept: 'image/png' });
    expect(await jsonOf(response)).toMatchObject({ job_stage: expect.any(String) as string });
  });
});

describe('failures of a synchronous generation', () => {
  it('is an empty list when the job failed', async () => {
    const host = createFakeHost({ failure: new AppError('out_of_memory', 'Too large.') });
    expect(await generate(createApi(host))).toEqual([]);
  });

  it('is the images finished so far when it was stopped', async () => {
    const host = createFakeHost({ stepMs: 2 });
    const api = createApi(host);
    const answer = generate(api, { image_number: 8, advanced_params: { overwrite_step: 5 } });
    await vi.waitFor(async () => {
      const [job] = await host.host.jobs();
      expect(job?.result?.images.length).toBeGreaterThanOrEqual(1);
    });
    expect(await jsonOf(post(api, '/v1/generation/stop', undefined))).toEqual({ msg: 'success' });
    const results = await answer;
    expect(results.length).toBeGreaterThanOrEqual(1);
    expect(results.length).toBeLessThan(8);
    expect(results.every(({ finish_reason }) => finish_reason === 'SUCCESS')).toBe(true);
  });

  it('is one item that says so when the queue is full, in each form', async () => {
    const api = createApi(createFakeHost({ stepMs: 1000 }));
    for (let i = 0; i < 100; i++) await post(api, TEXT_TO_IMAGE, { ...example, async_process: true });
    const full = { base64: null, url: null, seed: '', finish_reason: 'QUEUE_IS_FULL' };
    expect(await generate(api)).toEqual([full]);
    expect(await jsonOf(post(api, TEXT_TO_IMAGE, { ...example, async_process: true }))).toEqual({
      job_id: '',
      job_type: 'Text to Image',
      job_stage: 'ERROR',
      job_progress: 0,
      job_status: null,
      job_step_preview: null,
      job_result: [full],
    });
    for (const async_process of [false, true]) {
      const png = await post(api, TEXT_TO_IMAGE, { ...example, async_process }, { Accept: 'image/png' });
      expect([png.status, await png.text()]).toEqual([409, 'QUEUE_IS_FULL']);
    }
  });

  it('is a 503 when no tab is open', async () => {
    const host = createFakeHost();
    host.vanish();
    const response = await post(createApi(host), TEXT_TO_IMAGE, example);
    expect(response.status).toBe(503);
    expect(await jsonOf(response)).toEqual({ detail: expect.stringContaining('tab') as string });
  });
});

describe('jobs', () => {
  it('are told from waiting to finished, with previews on the way', async () => {
    const host = createFakeHost({ stepMs: 10 });
    const api = createApi(host);
    const started = await jsonOf(post(api, TEXT_TO_IMAGE, { ...example, async_process: true }));
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
    const running = await vi.waitFor(async () => {
      const job = await jsonOf(api.request(`${query}&require_step_preview=true`));
      expect(job).toMatchObject({ job_stage: 'RUNNING', job_step_preview: expect.any(String) as string });
      return job;
    });
    const [, step = 0] = /^Step (\d+)\/30 in the 1-th Sampling$/.exec(String(running['job_status'])) ?? [];
    expect(running['job_progress']).toBe(Math.floor(15 + (85 * Number(step)) / 30));
    const preview = decodePng(Uint8Array.from(Buffer.from(String(running['job_step_preview']), 'base64')));
    expect(preview.data[0]).toBeGreaterThanOrEqual(Number(step));
    expect((await jsonOf(api.request(query)))['job_step_preview']).toBeNull();

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
    const { job_id } = await jsonOf(
      post(api, TEXT_TO_IMAGE, {
        ...example,
        async_process: true,
        advanced_params: { disable_preview: true },
      }),
    );
    await vi.waitFor(async () => expect(await host.host.preview(String(job_id))).toBeDefined());
    const job = await jsonOf(
      api.request(`/v1/generation/query-job?job_id=${String(job_id)}&require_step_preview=1`),
    );
    expect(job['job_step_preview']).toBeNull();
  });

  it('that fail end in ERROR, and their text is not told', async () => {
    const api = createApi(createFakeHost({ failure: new AppError('internal', 'Boom') }));
    const { job_id } = await jsonOf(post(api, TEXT_TO_IMAGE, { ...example, async_process: true }));
    expect(await untilFinished(api, job_id)).toMatchObject({ job_stage: 'ERROR', job_result: null });
  });

  it('that are not known are answered with 404 and a job that is not found', async () => {
    const response = await createApi(createFakeHost()).request('/v1/generation/query-job?job_id=nothing');
    expect(response.status).toBe(404);
    expect(await jsonOf(response)).toEqual({
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
    expect(await jsonOf(response)).toMatchObject({
      detail: [{ type: 'missing', loc: ['query', 'job_id'], msg: 'Field required' }],
    });
  });

  it('are counted, waiting and running ones together', async () => {
    const host = createFakeHost();
    const api = createApi(host);
    expect(await jsonOf(api.request('/v1/generation/job-queue'))).toEqual({
      running_size: 0,
      finished_size: 0,
      last_job_id: null,
    });
    const { job_id } = await jsonOf(post(api, TEXT_TO_IMAGE, { ...example, async_process: true }));
    await untilFinished(api, job_id);
    for (const path of ['/v1/generation/job-queue', '/v1/engines/job-queue']) {
      expect(await jsonOf(api.request(path))).toEqual({
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
    const { last_job_id: id } = await jsonOf(api.request('/v1/generation/job-queue'));
    const all = await jsonOf<{ queue: Json[]; history: Json[] }>(api.request('/v1/generation/job-history'));
    expect(all.queue).toEqual([]);
    expect(all.history).toHaveLength(2);
    const millis = expect.any(Number) as number;
    const one = await jsonOf(api.request(`/v1/generation/job-history?job_id=${String(id)}`));
    expect(one).toEqual({
      queue: [],
      history: [
        { job_id: id, in_queue_mills: millis, start_mills: millis, finish_mills: millis, is_finished: true },
      ],
    });

    const firstId = all.history.find(({ job_id }) => job_id !== id)?.['job_id'];
    const remove = `/v1/generation/job-history?delete=true&job_id=${String(firstId)}`;
    expect(await jsonOf(api.request(remove))).toEqual({ message: 'Deleted' });
    expect(await jsonOf(api.request(remove))).toEqual({ message: 'Not found' });
    expect((await api.request(first?.url ?? '')).status).toBe(404);
  });

  it('can be stopped when there is none', async () => {
    expect(await jsonOf(post(createApi(createFakeHost()), '/v1/generation/stop', undefined))).toEqual({
      msg: 'success',
    });
  });

  it('that were stopped end as SUCCESS, and the next one runs', async () => {
    const host = createFakeHost({ stepMs: 5 });
    const api = createApi(host);
    const first = await jsonOf(post(api, TEXT_TO_IMAGE, { ...example, async_process: true }));
    const second = await jsonOf(
      post(api, TEXT_TO_IMAGE, { ...example, async_process: true, performance_selection: 'Lightning' }),
    );
    expect(second['job_stage']).toBe('WAITING');
    await vi.waitFor(() => expect(host.jobs).toHaveLength(1));
    await post(api, '/v1/generation/stop', undefined);
    expect(await untilFinished(api, first['job_id'])).toMatchObject({ job_stage: 'SUCCESS', job_result: [] });
    expect(await untilFinished(api, second['job_id'])).toMatchObject({
      job_stage: 'SUCCESS',
      job_result: [{ finish_reason: 'SUCCESS' }],
    });
  });
});

describe('files', () => {
  it('are served as they are to browsers and to clients without an Accept header', async () => {
    const api = createApi(createFakeHost());
    const [result] = await generate(api);
    for (const Accept of ['image/avif,image/webp,*/*', 'image/png', '']) {
      const response = await api.request(result?.url ?? '', { headers: Accept ? { Accept } : {} });
      expect([response.status, response.headers.get('Content-Type')]).toEqual([200, 'image/png']);
    }
  });

  it('are replaced by newer ones of the same name', async () => {
    const api = createApi(createFakeHost());
    const [first] = await generate(api, { save_name: 'apple' });
    const [second] = await generate(api, { save_name: 'apple', image_seed: 99 });
    expect(second?.url).toBe(first?.url);
    const image = decodePng(await bytesOf(api.request(first?.url ?? '')));
    expect([...image.data.slice(0, 3)]).toEqual(colourOf(99n));
  });

  it.each(['/files/2026-01-31/nothing.png', '/files/2026-01-31/text.txt'])('404 for %s', async (path) => {
    expect((await createApi(createFakeHost()).request(path)).status).toBe(404);
  });
});

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
        void sendWebhook(call, record);
      },
    });
    return host;
  }

  it('is told of the images when a job ends, asked for or waited for', async () => {
    const api = createApi(createNotifyingHost());
    const request = { webhook_url: 'https://example.com/hook', image_number: 2 };
    const results = await generate(api, request);
    await vi.waitFor(() => expect(sent).toHaveLength(1));
    expect(sent[0]).toMatchObject({
      url: 'https://example.com/hook',
      body: {
        job_id: expect.any(String) as string,
        job_result: results.map(({ url, seed }) => ({ url, seed })),
      },
    });
    await post(api, TEXT_TO_IMAGE, { ...example, ...request, async_process: true });
    await vi.waitFor(() => expect(sent).toHaveLength(2));
    const {
      job_result: [image],
    } = sent[1]?.body as { job_result: { url: string }[] };
    expect((await api.request(image?.url ?? '')).status).toBe(200);
  });

  it('is told of no image when it failed', async () => {
    const api = createApi(createNotifyingHost({ failure: new AppError('internal', 'Boom') }));
    await generate(api, { webhook_url: 'https://example.com/hook' });
    await vi.waitFor(() => expect(sent).toHaveLength(1));
    expect(sent[0]?.body).toMatchObject({ job_result: [] });
  });

  it('is told without CORS where the server does not allow it', async () => {
    blocked = true;
    await generate(createApi(createNotifyingHost()), { webhook_url: 'https://example.com/hook' });
    await vi.waitFor(() => expect(sent).toHaveLength(1));
    expect(sent[0]?.mode).toBe('no-cors');
  });
});

describe('metadata', () => {
  async function textsOf(request: Json): Promise<Record<string, string>> {
    const api = createApi(createFakeHost());
    const [result] = await generate(api, request);
    return readPngText(await bytesOf(api.request(result?.url ?? '')));
  }

  it("is Fooocus's JSON by default, as Python writes it", async () => {
    const texts = await textsOf({ prompt: 'a red apple\nin Zürich', image_seed: 7 });
    expect(texts).toEqual({
      fooocus_scheme: 'fooocus',
      parameters:
        '{"adm_guidance": "(1.5, 0.8, 0.3)", "base_model": "emoji-mini", "base_model_hash": "0123456789", ' +
        '"clip_skip": 2, "full_negative_prompt": ["blurry"], "full_prompt": ["a red apple", "in Z\\u00fcrich"], ' +
        '"guidance_scale": 4.0, "loras": [], "metadata_scheme": "fooocus", "negative_prompt": "blurry", ' +
        '"performance": "Speed", "prompt": "a red apple\\nin Z\\u00fcrich", "prompt_expansion": "", ' +
        '"refiner_model": "None", "refiner_switch": 0.5, "resolution": "(256, 128)", ' +
        '"sampler": "dpmpp_2m_sde_gpu", "scheduler": "karras", "seed": "7", "sharpness": 2.0, "steps": 30, ' +
        '"styles": "[]", "vae": "Default (model)", "version": "Fooocus v2.5.3"}',
    });
  });

  it('lists the styles as Python does', async () => {
    const { parameters = '{}' } = await textsOf({
      style_selections: ['Fooocus Sharp', 'Fooocus Masterpiece'],
    });
    expect((JSON.parse(parameters) as Json)['styles']).toBe("['Fooocus Sharp', 'Fooocus Masterpiece']");
  });

  it.each(['a1111', 'a111'])('is an infotext with the scheme %s', async (meta_scheme) => {
    expect(await textsOf({ meta_scheme })).toEqual({
      fooocus_scheme: 'a1111',
      parameters:
        'a red apple\nNegative prompt: blurry\nSteps: 30, Sampler: DPM++ 2M SDE Karras, Seed: 1234, Size: 256x128, ' +
        'CFG scale: 4.0, Sharpness: 2.0, ADM Guidance: "(1.5, 0.8, 0.3)", Model: emoji-mini, ' +
        'Model hash: 0123456789, Performance: Speed, Scheduler: karras, VAE: Default (model), ' +
        'Raw prompt: a red apple, Raw negative prompt: blurry, Clip skip: 2, Version: Fooocus v2.5.3',
    });
  });

  it('tells of FreeU, which models of the engine’s own graphs are written with', async () => {
    const host = createFakeHost({ models: [OWN_GRAPHS_MODEL] });
    const api = createApi(host);
    const advanced_params = { freeu_enabled: true, freeu_b1: 1.3, freeu_s2: 0.2 };
    const [json] = await generate(api, { advanced_params });
    const [infotext] = await generate(api, { advanced_params, meta_scheme: 'a1111' });
    expect(host.jobs[0]).toMatchObject({
      graphs: { freeU: { b1: 1.3, b2: 1.02, s1: 0.99, s2: 0.2, version: 2 } },
    });
    const parametersOf = async (result: ImageResult | undefined) => {
      const texts = await readPngText(await bytesOf(api.request(result?.url ?? '')));
      return texts['parameters'];
    };
    expect(await parametersOf(json)).toContain('"freeu": "(1.3, 1.02, 0.99, 0.2)"');
    expect(await parametersOf(infotext)).toContain('FreeU: "(1.3, 1.02, 0.99, 0.2)"');
  });

  it('is left out without save_meta, and from files named jpg', async () => {
    const host = createFakeHost();
    const api = createApi(host);
    await generate(api, { save_meta: false });
    await generate(api, { save_extension: 'jpg' });
    await generate(api, { save_extension: 'jpeg' });
    expect(host.jobs.map(({ output }) => output.texts?.length)).toEqual([undefined, undefined, 1]);
  });
});

describe('refused requests', () => {
  it.each([
    [
      { image_number: 33 },
      'less_than_equal',
      ['body', 'image_number'],
      'Input should be less than or equal to 32',
    ],
    [{ prompt: 5 }, 'string_type', ['body', 'prompt'], 'Input should be a valid string'],
    [
      { performance_selection: 'Fast' },
      'enum',
      ['body', 'performance_selection'],
      "Input should be 'Speed', 'Quality', 'Extreme Speed', 'Lightning' or 'Hyper-SD'",
    ],
    [
      { advanced_params: { clip_skip: 0 } },
      'greater_than_equal',
      ['body', 'advanced_params', 'clip_skip'],
      'Input should be greater than or equal to 1',
    ],
    [{ loras: [{ weight: 1 }] }, 'missing', ['body', 'loras', 0, 'model_name'], 'Field required'],
    [
      { aspect_ratios_selection: 'wide' },
      'value_error',
      ['body', 'aspect_ratios_selection'],
      "Value error, should be a width and a height such as '1152*896'",
    ],
    [{ save_name: '../x' }, 'value_error', ['body', 'save_name'], 'Value error, should not contain a slash'],
  ])('422 for %o', async (wrong, type, loc, msg) => {
    const host = createFakeHost();
    const body = { ...example, ...wrong };
    const response = await post(createApi(host), TEXT_TO_IMAGE, body);
    expect(response.status).toBe(422);
    expect(await jsonOf(response)).toMatchObject({ detail: [{ type, loc, msg }], body });
    expect(host.jobs).toEqual([]);
  });

  it('501 for FreeU in a model of finished graphs', async () => {
    const body = { ...example, advanced_params: { freeu_enabled: true } };
    const response = await post(createApi(createFakeHost()), TEXT_TO_IMAGE, body);
    expect(response.status).toBe(501);
    expect(await jsonOf(response)).toEqual({
      detail:
        "'advanced_params.freeu_enabled' needs a model from .safetensors files: Emoji Mini is made of finished graphs.",
    });
  });
});

describe('endpoints for images', () => {
  const image = new File([new Uint8Array(8)], 'a.png', { type: 'image/png' });
  const base64 = Buffer.from('image').toString('base64');

  it('text-to-image-with-ip draws from text when there are no image prompts', async () => {
    const api = createApi(createFakeHost());
    const path = '/v2/generation/text-to-image-with-ip';
    for (const image_prompts of [undefined, [], [{ cn_img: 'None' }, { cn_img: null }]]) {
      const results = await jsonOf<ImageResult[]>(post(api, path, { ...example, image_prompts }));
      expect(results).toMatchObject([{ seed: '1234', finish_reason: 'SUCCESS' }]);
    }
    const refused = await post(api, path, { ...example, image_prompts: [{ cn_img: base64 }] });
    expect(refused.status).toBe(501);
    expect((await jsonOf(refused))['detail']).toMatch(/^'image_prompts' needs image prompts/);
  });

  it.each([
    ['/v2/generation/image-upscale-vary', { input_image: base64 }, 'drawing over an image'],
    ['/v2/generation/image-inpaint-outpaint', { input_image: base64 }, 'inpainting'],
    ['/v2/generation/image-prompt', { image_prompts: [{ cn_img: base64 }] }, 'image prompts'],
    ['/v2/generation/image-enhance', { enhance_ctrlnets: [] }, 'finding things in an image'],
    ['/v1/tools/generate_mask', { image: base64 }, 'finding things in an image'],
  ])('POST %s names what is missing', async (path, fields, missing) => {
    const response = await post(createApi(createFakeHost()), path, fields);
    expect(response.status).toBe(501);
    expect((await jsonOf(response))['detail']).toContain(missing);
  });

  it.each([
    ['/v2/generation/image-upscale-vary', {}, 'input_image', 'missing'],
    ['/v2/generation/image-upscale-vary', { input_image: '%%%' }, 'input_image', 'value_error'],
    ['/v2/generation/image-upscale-vary', { input_image: base64, uov_method: 'Grow' }, 'uov_method', 'enum'],
    ['/v2/generation/image-prompt', {}, 'image_prompts', 'missing'],
    ['/v2/generation/image-enhance', {}, 'enhance_ctrlnets', 'missing'],
    ['/v1/tools/generate_mask', {}, 'image', 'missing'],
  ])('POST %s %o is a 422 for %s', async (path, fields, name, type) => {
    const response = await post(createApi(createFakeHost()), path, fields);
    expect(response.status).toBe(422);
    expect(await jsonOf(response)).toMatchObject({ detail: [{ type, loc: ['body', name] }] });
  });

  it.each([
    ['/v1/generation/image-upscale-vary', { input_image: image, uov_method: 'Upscale (2x)' }, 'drawing over'],
    [
      '/v1/generation/image-inpaint-outpaint',
      { input_image: image, outpaint_selections: 'Left, Right' },
      'inpaint',
    ],
    ['/v1/generation/image-prompt', { cn_img1: image, cn_stop1: '', cn_weight1: '0.5' }, 'image prompts'],
    ['/v1/generation/image-enhance', { enhance_input_image: image }, 'finding things'],
    ['/v1/tools/describe-image?image_type=Anime', { image: image }, 'describing an image'],
  ])('POST %s, a form, names what is missing', async (path, parts, missing) => {
    const response = await postForm(createApi(createFakeHost()), path, parts);
    expect(response.status).toBe(501);
    expect((await jsonOf(response))['detail']).toContain(missing);
  });

  it('a form without images draws from its text', async () => {
    const host = createFakeHost();
    const response = await postForm(createApi(host), '/v1/generation/image-prompt', {
      prompt: 'a red apple',
      style_selections: ['Fooocus Sharp, Fooocus Masterpiece', 'SAI Anime'],
      image_number: '2',
      image_seed: '5',
      aspect_ratios_selection: '256*256',
      sharpness: '',
      require_base64: 'True',
      loras: '[{"enabled": false, "model_name": "a.safetensors"}]',
      advanced_params: '{"overwrite_step": 3}',
    });
    expect(response.status).toBe(200);
    const results = await jsonOf<ImageResult[]>(response);
    expect(results.map(({ seed }) => seed)).toEqual(['5', '6']);
    expect(results[0]?.base64).toMatch(/^data:image\/png;base64,/);
    expect(host.jobs[0]).toMatchObject({ steps: 3, guidanceScale: 7, output: { metadata: null } });
    expect(host.jobs[0]?.output.texts).toBeUndefined();
    expect(host.jobs[0]?.images[0]?.prompt.length).toBeGreaterThan(2);
  });

  it('a form takes all defaults for advanced_params that are wrong, and a 422 for wrong LoRAs', async () => {
    const host = createFakeHost();
    const api = createApi(host);
    const parts = { aspect_ratios_selection: '256*256', style_selections: '' };
    await postForm(api, '/v1/generation/image-prompt', {
      ...parts,
      advanced_params: '{"overwrite_step": 999}',
    });
    expect(host.jobs[0]).toMatchObject({ steps: 30 });
    const wrong = await postForm(api, '/v1/generation/image-prompt', { ...parts, loras: 'no JSON' });
    expect(wrong.status).toBe(422);
    expect(await jsonOf(wrong)).toMatchObject({
      detail: [{ type: 'list_type', loc: ['body', 'loras'] }],
      body: null,
    });
  });

  it('a text where a file belongs is a 422', async () => {
    const response = await postForm(createApi(createFakeHost()), '/v1/tools/describe-image', {
      image: 'text',
    });
    expect(response.status).toBe(422);
  });
});

describe('lists and the rest', () => {
  it.each([
    ['GET', '/ping', 'pong'],
    ['GET', '/fooocus/ping', 'pong'],
    ['GET', '/v1/engines/clean_vram', { message: 'ok' }],
    ['GET', '/v1/engines/all-models', { model_filenames: ['emoji-mini.safetensors'], lora_filenames: [] }],
    [
      'POST',
      '/v1/engines/refresh-models',
      { model_filenames: ['emoji-mini.safetensors'], lora_filenames: [] },
    ],
  ])('%s %s', async (method, path, answer) => {
    expect(await jsonOf(createApi(createFakeHost()).request(path, { method }))).toEqual(answer);
  });

  it('lists 279 styles, the two without texts first', async () => {
    const names = await jsonOf<string[]>(createApi(createFakeHost()).request('/v1/engines/styles'));
    expect(names).toHaveLength(279);
    expect(names.slice(0, 3)).toEqual(['Fooocus V2', 'Random Style', 'Fooocus Enhance']);
  });
});
