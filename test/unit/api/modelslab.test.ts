import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createApi, type Api } from '#api/index.ts';
import { sendWebhook } from '#api/webhooks.ts';
import { decodePng } from '#codecs/png.ts';
import { DIFFUSERS_SCHEDULERS } from '#api/diffusers-scheduler.ts';
import { isDiffusersSchedulerName } from '#engine/samplers/diffusers/index.ts';
import { AppError } from '#protocol/error.ts';
import { colourOf, createFakeHost, TEST_MODEL, testAddOn } from '../../support/fake-host.ts';

const BASE = '/api/v1/enterprise';

/** The documentation's example, with the built-in model. */
const example = {
  key: 'any key',
  model_id: 'emoji-mini',
  prompt: 'a red apple',
  negative_prompt: null,
  width: '512',
  height: '256',
  samples: '1',
  num_inference_steps: '30',
  safety_checker: 'yes',
  enhance_prompt: 'no',
  seed: 1234,
  guidance_scale: 7.5,
  scheduler: 'UniPCMultistepScheduler',
  webhook: null,
  track_id: null,
};

function post(
  api: Api,
  endpoint: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  return api.request(endpoint.startsWith('/') ? endpoint : `${BASE}/${endpoint}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
}

async function answerOf(response: Response | Promise<Response>) {
  return (await (await response).json()) as Record<string, unknown>;
}

async function colourAt(api: Api, url: string): Promise<number[]> {
  const image = decodePng(new Uint8Array(await (await api.request(url)).arrayBuffer()));
  return [...image.data.slice(0, 3)];
}

describe('text2img', () => {
  it('draws with installed LoRAs, embeddings and VAE', async () => {
    const addOns = [
      testAddOn('lora', 'shiny'),
      testAddOn('lora', 'matte'),
      testAddOn('lora', 'plain'),
      testAddOn('embedding', 'bad-hands'),
      testAddOn('vae', 'soft'),
    ];
    const host = createFakeHost({ addOns });
    const body = {
      ...example,
      lora_model: 'shiny,Matte, plain',
      lora_strength: '0.3,0.9',
      embeddings_model: 'bad-hands',
      vae: 'soft',
    };
    const { meta } = await answerOf(post(createApi(host), 'text2img', body));
    expect(host.jobs[0]).toMatchObject({
      loras: [
        { id: 'shiny', strength: 0.3 },
        { id: 'matte', strength: 0.9 },
        { id: 'plain', strength: 1 },
      ],
      vae: 'soft',
      promptOptions: { syntax: 'plain', embeddings: ['bad-hands'] },
    });
    expect(meta).toMatchObject({
      lora: 'shiny,matte,plain',
      lora_strength: '0.3,0.9,1',
      embeddings: 'bad-hands',
      vae: 'soft',
    });
  });

  it('answers with success, the URL of each sample and the meta of the request', async () => {
    const host = createFakeHost();
    const api = createApi(host);
    const response = await post(api, 'text2img', { ...example, samples: '2' });
    expect(response.status).toBe(200);
    const answer = await answerOf(response);
    const url = expect.stringMatching(
      /^http:\/\/localhost\/files\/\d{4}-\d\d-\d\d\/[\da-f-]{36}-\d\.png$/,
    ) as string;
    expect(answer).toEqual({
      status: 'success',
      generationTime: expect.any(Number) as number,
      id: expect.any(Number) as number,
      output: [url, url],
      proxy_links: [url, url],
      webhook_status: '',
      meta: {
        prompt: 'a red apple',
        model_id: 'emoji-mini',
        negative_prompt: '',
        scheduler: 'UniPCMultistepScheduler',
        safetychecker: 'yes',
        W: 512,
        H: 256,
        guidance_scale: 7.5,
        steps: 30,
        n_samples: 2,
        full_url: 'no',
        upscale: 'no',
        multi_lingual: 'no',
        seed: 1234,
        outdir: 'out',
        file_prefix: expect.stringMatching(/^[\da-f-]{36}$/) as string,
        vae: null,
        lora: null,
        lora_strength: null,
        clip_skip: 1,
        use_karras_sigmas: 'yes',
        algorithm_type: 'none',
        tomesd: 'yes',
        embeddings: null,
      },
    });
    expect(Number.isInteger(answer['id'])).toBe(true);
    const [first = '', second = ''] = answer['output'] as string[];
    expect(await colourAt(api, first)).toEqual(colourOf(1234n));
    expect(await colourAt(api, second)).toEqual(colourOf(1235n));
  });

  it('runs what was asked for', async () => {
    const host = createFakeHost();
    await post(createApi(host), 'text2img', {
      ...example,
      negative_prompt: 'blurry',
      scheduler: 'dpmsolvermultistepscheduler',
      algorithm_type: 'dpmsolver+++',
      use_karras_sigmas: 'yes',
      clip_skip: '2',
      num_inference_steps: 99,
    });
    expect(host.jobs[0]).toMatchObject({
      model: 'emoji-mini',
      images: [{ prompt: ['a red apple'], negativePrompt: ['blurry'], seed: 1234n }],
      width: 512,
      height: 256,
      steps: 50,
      guidanceScale: 7.5,
      sampler: {
        family: 'diffusers',
        scheduler: 'DPMSolverMultistepScheduler',
        config: { use_karras_sigmas: true, algorithm_type: 'sde-dpmsolver++' },
      },
      noise: { source: 'torch-cpu' },
      promptOptions: { syntax: 'plain', clipSkip: 2 },
    });
  });

  it('takes numbers and switches as text, as numbers and as booleans, and null for absent', async () => {
    const host = createFakeHost();
    const api = createApi(host);
    await post(api, 'text2img', {
      ...example,
      use_karras_sigmas: false,
      enhance_prompt: true,
      seed: '77',
      scheduler: 'EulerDiscreteScheduler',
    });
    await post(api, 'text2img', {
      key: 'k',
      prompt: 'x',
      width: null,
      height: '',
      seed: null,
      guidance_scale: '3',
    });
    expect(host.jobs[0]).toMatchObject({
      images: [{ seed: 77n }],
      sampler: { scheduler: 'EulerDiscreteScheduler', config: {} },
    });
    expect(host.jobs[0]?.images[0]?.prompt[0]).toMatch(/^a red apple, \w+/);
    expect(host.jobs[1]).toMatchObject({
      model: 'emoji-mini',
      width: 512,
      height: 512,
      steps: 21,
      guidanceScale: 3,
    });
  });

  it('doubles the size for upscale', async () => {
    const host = createFakeHost();
    await post(createApi(host), 'text2img', { ...example, width: 256, height: 256, upscale: 'yes' });
    expect(host.jobs[0]).toMatchObject({ width: 512, height: 512 });
  });

  it('says which scheduler runs in place of one that is not made for this', async () => {
    const answer = await answerOf(
      post(createApi(createFakeHost()), 'text2img', { ...example, scheduler: 'KarrasVeScheduler' }),
    );
    expect(answer).toMatchObject({
      tip: expect.stringContaining('HeunDiscreteScheduler ran in its place') as string,
      meta: { scheduler: 'HeunDiscreteScheduler' },
    });
  });

  it('gives base64 as the text of its URLs', async () => {
    const api = createApi(createFakeHost());
    const answer = await answerOf(post(api, 'text2img', { ...example, base64: 'yes' }));
    const [url = ''] = answer['output'] as string[];
    expect(url).toMatch(/\.base64$/);
    const text = await (await api.request(url)).text();
    const image = decodePng(Uint8Array.from(Buffer.from(text, 'base64')));
    expect([image.width, image.height]).toEqual([512, 256]);
  });

  it.each([
    '/api/v1/enterprise/images',
    '/api/v6/images',
    '/api/v6/realtime',
    '/modelslab/api/v1/enterprise',
  ])('is found where the SDK looks for it: %s', async (base) => {
    const answer = await answerOf(post(createApi(createFakeHost()), `${base}/text2img`, example));
    expect(answer).toMatchObject({ status: 'success' });
  });

  it('names parameters without effect, and unknown ones', async () => {
    const response = await post(createApi(createFakeHost()), 'text2img', {
      ...example,
      temp: 'yes',
      tomesd: 'yes',
      loadbalancer: 'lb',
      highres_fix: 'yes',
      surprise: 1,
    });
    const names = response.headers.get('X-Ignored-Parameters')?.split(', ').sort();
    expect(names).toEqual(['highres_fix', 'loadbalancer', 'safety_checker', 'surprise', 'temp', 'tomesd']);
  });

  it('names nothing when all has its effect', async () => {
    const response = await post(createApi(createFakeHost()), 'text2img', {
      ...example,
      safety_checker: 'no',
    });
    expect(response.headers.has('X-Ignored-Parameters')).toBe(false);
  });
});

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

    await vi.waitFor(async () => {
      const done = await answerOf(post(api, `fetch/${id}`, { key: 'k' }));
      expect(done).toMatchObject({ status: 'success', id, meta: { seed: 1234 } });
      expect(done['output']).toEqual(processing['future_links']);
    });
    expect(await answerOf(post(api, `images/fetch/${id}`, { key: 'k' }))).toMatchObject({
      status: 'success',
    });
  });

  it('answers processing after the seconds it was told to wait', async () => {
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
    await vi.waitFor(async () =>
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
        void sendWebhook(call, record);
      },
    });
    return host;
  }

  it('is told of success, with the track_id as it was sent', async () => {
    const host = createNotifyingHost({});
    const answer = await answerOf(
      post(createApi(host), 'text2img', { ...example, webhook: 'https://example.com/hook', track_id: 'A-7' }),
    );
    await vi.waitFor(() => expect(sent).toHaveLength(1));
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

  it('is told of failure', async () => {
    const host = createNotifyingHost({ failure: new AppError('device_lost', 'The GPU was lost.') });
    await post(createApi(host), 'text2img', { ...example, webhook: 'https://example.com/hook' });
    await vi.waitFor(() => expect(sent).toHaveLength(1));
    expect(sent[0]?.body).toMatchObject({ status: 'failed', message: 'The GPU was lost.', track_id: null });
  });

  it('is not told of what it did not ask for', async () => {
    const host = createNotifyingHost({});
    await post(createApi(host), 'text2img', example);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(sent).toEqual([]);
  });
});

describe('errors', () => {
  it.each([
    [{ prompt: undefined }, 'prompt is required'],
    [{ prompt: ' ' }, 'prompt is required'],
    [{ width: 128 }, 'width must be between 256 and 1024'],
    [{ height: '2048' }, 'height must be between 256 and 1024'],
    [{ height: 260 }, 'height must be divisible by 8'],
    [{ samples: 5 }, 'samples must be between 1 and 4'],
    [{ guidance_scale: 21 }, 'guidance_scale must be between 1 and 20'],
    [{ guidance_scale: 'much' }, 'guidance_scale must be between 1 and 20'],
    [{ enhance_prompt: 'maybe' }, 'enhance_prompt must be yes or no'],
    [{ seed: 'abc' }, 'seed must be an integer'],
    [{ clip_skip: 9 }, 'clip_skip must be between 1 and 8'],
  ])('400 for %o: %s', async (wrong, message) => {
    const host = createFakeHost();
    const response = await post(createApi(host), 'text2img', { ...example, ...wrong });
    expect(response.status).toBe(400);
    expect(await answerOf(response)).toEqual({ status: 'error', message, messege: message });
    expect(host.jobs).toEqual([]);
  });

  it('400 for an unknown scheduler, naming those there are', async () => {
    const response = await post(createApi(createFakeHost()), 'text2img', { ...example, scheduler: 'Magic' });
    expect(response.status).toBe(400);
    expect((await answerOf(response))['message']).toMatch(/^scheduler must be one of: DDPMScheduler, /);
  });

  it('404 for a model that is not installed, with a tip', async () => {
    const response = await post(createApi(createFakeHost()), 'text2img', {
      ...example,
      model_id: 'midjourney',
    });
    expect(response.status).toBe(404);
    expect(await answerOf(response)).toMatchObject({
      status: 'error',
      message: 'Model not found: midjourney',
      tip: 'Installed models: emoji-mini',
    });
  });

  it('401 without a key, and for another key than the one that was set', async () => {
    const open = createApi(createFakeHost());
    expect((await post(open, 'text2img', { ...example, key: '' })).status).toBe(401);
    expect(
      (await post(open, 'text2img', { ...example, key: '' }, { Authorization: 'Bearer abc' })).status,
    ).toBe(200);

    const locked = createApi(createFakeHost({ settings: { 'modelslab.key': 'secret' } }));
    const refused = await post(locked, 'system_details', { key: 'wrong' });
    expect(refused.status).toBe(401);
    expect(await answerOf(refused)).toMatchObject({ status: 'error', message: 'Invalid API key' });
    expect((await post(locked, 'system_details', { key: 'secret' })).status).toBe(200);
  });

  it('500 with the reason when a job fails while it is waited for', async () => {
    const host = createFakeHost({ failure: new AppError('not_a_number', 'The image came out empty.') });
    const response = await post(createApi(host), 'text2img', example);
    expect(response.status).toBe(500);
    expect(await answerOf(response)).toMatchObject({
      status: 'error',
      message: 'The image came out empty.',
    });
  });

  it('429 when the queue is full', async () => {
    const host = createFakeHost({ stepMs: 1000, settings: { 'modelslab.wait_seconds': 0 } });
    const api = createApi(host);
    for (let i = 0; i < 100; i++) await post(api, 'text2img', example);
    const response = await post(api, 'text2img', example);
    expect(response.status).toBe(429);
    expect(await answerOf(response)).toMatchObject({
      status: 'error',
      message: 'Rate limit exceeded. Maximum 100 queued requests allowed.',
      retry_after: 30,
    });
  });

  it('503 when no tab is open', async () => {
    const host = createFakeHost();
    host.vanish();
    const response = await post(createApi(host), 'text2img', example);
    expect(response.status).toBe(503);
    expect(await answerOf(response)).toMatchObject({ status: 'error' });
  });

  it.each([
    ['lora_model', 'shiny, matte', 'LoRA not found: matte', 'Installed: shiny'],
    ['vae', 'my-vae', 'VAE not found: my-vae', 'Installed: none'],
    ['embeddings_model', 'shiny', 'Embedding not found: shiny', 'Installed: none'],
  ])('404 for a %s that is not installed', async (name, value, message, tip) => {
    const host = createFakeHost({ addOns: [testAddOn('lora', 'shiny')] });
    const response = await post(createApi(host), 'text2img', { ...example, [name]: value });
    expect(response.status).toBe(404);
    expect(await answerOf(response)).toMatchObject({ status: 'error', message, tip });
    expect(host.jobs).toEqual([]);
  });

  it('400 for a strength that is no number', async () => {
    const body = { ...example, lora_model: 'shiny', lora_strength: 'much' };
    const response = await post(createApi(createFakeHost()), 'text2img', body);
    expect(response.status).toBe(400);
    expect((await answerOf(response))['message']).toContain('lora_strength must be a number');
  });

  it('501 for panorama, naming what is missing', async () => {
    const response = await post(createApi(createFakeHost()), 'text2img', { ...example, panorama: 'yes' });
    expect(response.status).toBe(501);
    expect((await answerOf(response))['message']).toBe(
      "'panorama' needs panorama drawing, which is not available here yet.",
    );
  });
});

describe('endpoints for images', () => {
  const image = 'https://example.com/a.png';
  it.each([
    ['img2img', { init_image: image }, 'drawing over an image'],
    ['inpaint', { init_image: image, mask_image: image }, 'inpainting'],
    ['controlnet', { init_image: image, controlnet_model: 'canny' }, 'ControlNet'],
  ])('%s is checked in full, then refused by name', async (endpoint, fields, missing) => {
    const api = createApi(createFakeHost());
    const incomplete = await post(api, endpoint, example);
    expect(incomplete.status).toBe(400);
    expect((await answerOf(incomplete))['message']).toBe('init_image is required');

    const complete = await post(api, endpoint, { ...example, ...fields });
    expect(complete.status).toBe(501);
    expect((await answerOf(complete))['message']).toContain(missing);
  });

  it('controlnet knows its types', async () => {
    const api = createApi(createFakeHost());
    const body = { ...example, init_image: image, controlnet_model: 'canny' };
    expect((await post(api, 'controlnet', { ...body, controlnet_type: 'canny, depth' })).status).toBe(501);
    const wrong = await post(api, 'controlnet', { ...body, controlnet_type: 'canny,smell' });
    expect(wrong.status).toBe(400);
    expect((await answerOf(wrong))['message']).toMatch(/^controlnet_type must be a list of: canny, depth, /);
  });

  it('controlnet needs no prompt with guess_mode', async () => {
    const api = createApi(createFakeHost());
    const body = { key: 'k', init_image: image, controlnet_model: 'canny' };
    expect((await post(api, 'controlnet', body)).status).toBe(400);
    expect((await post(api, 'controlnet', { ...body, guess_mode: 'yes' })).status).toBe(501);
  });

  it('super_resolution wants a url and a scale', async () => {
    const api = createApi(createFakeHost());
    const missing = await post(api, 'super_resolution', { key: 'k', url: image });
    expect((await answerOf(missing))['message']).toBe('scale is required');
    const wrong = await post(api, 'super_resolution', { key: 'k', url: image, scale: 9 });
    expect((await answerOf(wrong))['message']).toBe('scale must be between 1 and 4');
    expect((await post(api, 'super_resolution', { key: 'k', url: image, scale: '4' })).status).toBe(501);
  });
});

describe('models and lists', () => {
  it('has no scheduler that the engine does not know', () => {
    expect(DIFFUSERS_SCHEDULERS.filter((name) => !isDiffusersSchedulerName(name))).toEqual([]);
  });

  it('lists installed models and the 18 schedulers', async () => {
    const api = createApi(createFakeHost());
    expect(await answerOf(post(api, 'get_all_models', { key: 'k' }))).toEqual([
      {
        model_id: 'emoji-mini',
        model_name: 'Emoji Mini',
        status: 'model_ready',
        created_at: '1970-01-01T00:00:00.000Z',
      },
    ]);
    const { schedulers } = await answerOf(post(api, 'schedulers_list', { key: 'k' }));
    expect(schedulers).toHaveLength(18);
  });

  it('verifies, installs and deletes models', async () => {
    const absent = {
      ...TEST_MODEL,
      pack: { ...TEST_MODEL.pack, id: 'large', title: 'Large' },
      state: { stage: 'absent' as const },
      selected: false,
    };
    const api = createApi(createFakeHost({ models: [TEST_MODEL, absent] }));
    expect((await post(api, 'verify_model', { key: 'k', model_id: 'large' })).status).toBe(404);
    expect(await answerOf(post(api, 'load_model', { key: 'k', model_id: 'large' }))).toEqual({
      status: 'success',
      message: 'Model is being downloaded: large, 25 MB',
    });
    expect(await answerOf(post(api, 'verify_model', { key: 'k', model_id: 'large' }))).toEqual({
      status: 'success',
      message: 'Model is ready: large',
    });
    expect((await post(api, 'delete_model', { key: 'k', model_id: 'large' })).status).toBe(200);
    expect((await post(api, 'verify_model', { key: 'k', model_id: 'large' })).status).toBe(404);
  });

  it.each([
    'system_details',
    'restart_server',
    'update_server',
    'clear_cache',
    'images/update',
    'images/clear_queue',
  ])('%s is done at once', async (endpoint) => {
    expect(await answerOf(post(createApi(createFakeHost()), endpoint, { key: 'k' }))).toEqual({
      status: 'success',
      message: 'Operation completed successfully',
    });
  });
});
