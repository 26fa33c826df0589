import { decodePng } from '#codecs/png.ts';
import { readPngText } from '#codecs/png-text.ts';
import { meanColour, pngOf } from '../support/images.ts';
import { call, expect, fetchBytes, test } from './app.ts';

const STEPS = 6;

function fromBase64(text: string | undefined): Uint8Array {
  return new Uint8Array(Buffer.from(text ?? '', 'base64'));
}

function expectRedApple(png: Uint8Array): void {
  const border = meanColour(png, (x, y) => Math.min(x, y, 1 - x, 1 - y) < 0.04);
  for (const channel of border) expect(channel).toBeGreaterThan(225);
  const [red, green, blue] = meanColour(png, (x, y) => Math.abs(x - 0.5) < 0.15 && Math.abs(y - 0.5) < 0.15);
  expect(red).toBeGreaterThan(green + 50);
  expect(red).toBeGreaterThan(blue + 50);
}

test('A1111: images of red apples are red in the middle and white around, whatever the seed', async ({
  studio,
}) => {
  for (const seed of [1, 2, 3]) {
    const { status, body } = await call<{ images: string[]; info: string }>(studio, '/sdapi/v1/txt2img', {
      prompt: 'red apple, 3d',
      steps: 12,
      cfg_scale: 5,
      width: 256,
      height: 256,
      sampler_name: 'DPM++ 2M',
      seed,
    });
    expect(status).toBe(200);
    expect(JSON.parse(body.info)).toMatchObject({ seed, all_seeds: [seed], sampler_name: 'DPM++ 2M' });
    expectRedApple(fromBase64(body.images[0]));
  }
});

test('A1111: 512×512 by default, with the infotext in the file; a prompt beyond Latin-1 survives', async ({
  studio,
}) => {
  const prompt = 'りんご 🍎, red apple';
  const { body } = await call<{ images: string[]; parameters: { steps: number } }>(
    studio,
    '/a1111/sdapi/v1/txt2img',
    {
      prompt,
      steps: 2,
      seed: 5,
    },
  );
  const png = fromBase64(body.images[0]);
  const { width, height } = decodePng(png);
  expect({ width, height }).toEqual({ width: 512, height: 512 });
  const { parameters } = await readPngText(png);
  expect(parameters).toContain(prompt);
  expect(parameters).toContain('Seed: 5, Size: 512x512');
  expect(parameters).toContain('Generated at: 256x256, Resized with: Lanczos');
  expect(body.parameters.steps).toBe(2);
});

test('A1111: an image is generated from an image; what is not masked of it stays as it is', async ({
  studio,
}) => {
  const size = { width: 256, height: 256, steps: STEPS, seed: 7, sampler_name: 'DPM++ 2M' };
  const generate = async (route: string, body: object) => {
    const { status, body: answer } = await call<{ images: string[] }>(studio, `/sdapi/v1/${route}`, {
      ...size,
      ...body,
    });
    expect(status).toBe(200);
    return answer.images[0] ?? '';
  };
  const apple = await generate('txt2img', { prompt: 'red apple' });
  const again = { init_images: [apple], prompt: 'green pear' };
  expect(await generate('img2img', { ...again, denoising_strength: 0.5 })).not.toBe(apple);
  const mask = await pngOf(256, 256, (x) => (x < 128 ? [255, 255, 255] : [0, 0, 0])).arrayBuffer();
  const half = await generate('img2img', {
    ...again,
    mask: Buffer.from(mask).toString('base64'),
    mask_blur: 0,
    inpaint_full_res: false,
  });
  const [before, after] = [apple, half].map((image) => decodePng(fromBase64(image)));
  const right = (pixels: typeof before) =>
    pixels?.data.filter((_, at) => Math.floor(at / pixels.channels) % pixels.width >= 128);
  const left = (pixels: typeof before) =>
    pixels?.data.filter((_, at) => Math.floor(at / pixels.channels) % pixels.width < 128);
  expect(right(after)).toEqual(right(before));
  expect(left(after)).not.toEqual(left(before));
});

test('Fooocus-API: at once, as a job with previews, and as a file', async ({ studio }) => {
  const request = {
    prompt: 'red apple',
    aspect_ratios_selection: '256*256',
    style_selections: [],
    image_seed: 9,
    advanced_params: { overwrite_step: STEPS },
  };
  const sync = await call<{ url: string; seed: string; finish_reason: string }[]>(
    studio,
    '/v1/generation/text-to-image',
    request,
  );
  expect(sync.status).toBe(200);
  expect(sync.body).toMatchObject([{ seed: '9', finish_reason: 'SUCCESS' }]);
  const image = decodePng(await fetchBytes(studio, sync.body[0]?.url ?? ''));
  expect([image.width, image.height]).toEqual([256, 256]);

  const started = await call<{ job_id: string; job_stage: string }>(studio, '/v1/generation/text-to-image', {
    ...request,
    async_process: true,
  });
  expect(started.body.job_stage).toMatch(/WAITING|RUNNING/);
  const query = `/v1/generation/query-job?job_id=${started.body.job_id}&require_step_preview=true`;
  await expect
    .poll(async () => (await call<{ job_stage: string }>(studio, query)).body.job_stage, { timeout: 60_000 })
    .toBe('SUCCESS');
  const history = await call<{ history: { job_id: string }[] }>(studio, '/v1/generation/job-history');
  expect(history.body.history.map(({ job_id }) => job_id)).toContain(started.body.job_id);
});

test('ModelsLab: success or processing, then fetch', async ({ studio }) => {
  const { status, body } = await call<{
    status: string;
    id: number;
    output: string[];
    meta: { seed: number };
  }>(studio, '/api/v1/enterprise/text2img', {
    key: 'any',
    model_id: 'emoji-mini',
    prompt: 'red apple',
    enhance_prompt: 'no',
    width: '256',
    height: '256',
    samples: '1',
    num_inference_steps: String(STEPS),
    seed: 4,
    scheduler: 'EulerDiscreteScheduler',
  });
  expect(status).toBe(200);
  expect(body.status).toMatch(/success|processing/);
  const fetched = () =>
    call<{ status: string; output: string[] }>(studio, `/api/v1/enterprise/fetch/${body.id}`, { key: 'any' });
  await expect.poll(async () => (await fetched()).body.status, { timeout: 60_000 }).toBe('success');
  const png = await fetchBytes(studio, (await fetched()).body.output[0] ?? '');
  expect(decodePng(png).width).toBe(256);
});

test('itsrose: its envelope, and an image behind the URL', async ({ studio }) => {
  const { body } = await call<{ status: boolean; result: { images: string[]; meta: { prompt: string } } }>(
    studio,
    '/sdapi/txt2img',
    {
      model_id: 'emoji-mini',
      prompt: 'red apple',
      width: 256,
      height: 256,
      num_inference_steps: STEPS,
      scheduler: 'DDIMScheduler',
      seed: '3',
    },
  );
  expect(body.status).toBe(true);
  expect(decodePng(await fetchBytes(studio, body.result.images[0] ?? '')).height).toBe(256);
});

test('SDCN: images and nothing else', async ({ studio }) => {
  const { body } = await call<{ images: string[] }>(studio, '/txt2img', {
    prompt: 'red apple',
    width: 256,
    height: 256,
    steps: 20,
    cfg_scale: 4,
    seed: 3,
    sampler_name: 'Euler a',
  });
  expect(Object.keys(body)).toEqual(['images']);
  expect(decodePng(fromBase64(body.images[0])).width).toBe(256);
});

test('bad input is refused in each dialect’s own shape', async ({ studio }) => {
  expect(await call(studio, '/sdapi/v1/txt2img', { steps: 'many' })).toMatchObject({
    status: 422,
    body: {
      detail: [{ loc: ['body', 'steps'], msg: 'value is not a valid integer', type: 'type_error.integer' }],
    },
  });
  expect(await call(studio, '/v1/generation/text-to-image', { image_number: 33 })).toMatchObject({
    status: 422,
    body: { detail: [{ type: 'less_than_equal', loc: ['body', 'image_number'] }] },
  });
  expect(
    await call(studio, '/api/v1/enterprise/text2img', { key: 'k', model_id: 'emoji-mini' }),
  ).toMatchObject({
    status: 400,
    body: { status: 'error', message: 'prompt is required' },
  });
  expect(await call(studio, '/sdapi/txt2img', { model_id: 'emoji-mini' })).toMatchObject({
    status: 400,
    body: { status: false },
  });
  expect(await call(studio, '/txt2img', { prompt: 'x', model: 'none-such' })).toMatchObject({
    status: 400,
    body: { msg: 'Invalid model' },
  });
});
