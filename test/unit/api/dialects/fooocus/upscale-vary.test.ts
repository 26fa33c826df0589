import { describe, expect, it, vi } from 'vitest';
import { createApi } from '#api/index.ts';
import { decodePng } from '#codecs/png.ts';
import { readPngText } from '#codecs/png-text.ts';
import { createFakeHost, testAddOn } from '../../../../support/fake-host.ts';
import {
  bytesOf,
  ignoredBy,
  type ImageResult,
  type Json,
  postForm,
  untilFinished,
} from '../../../../support/fooocus.ts';
import { jsonOf, post } from '../../../../support/http.ts';
import { base64Of, claimSize, fileOf, imagePng } from './images.ts';

const FORM = '/v1/generation/image-upscale-vary';
const JSON_ROUTE = '/v2/generation/image-upscale-vary';
const NETWORK = testAddOn('upscaler', 'esrgan-4x');

const image = imagePng(800, 600);
const input_image = base64Of(image);

async function jobOf(changes: Json) {
  const host = createFakeHost({ addOns: [NETWORK] });
  const response = await post(createApi(host), JSON_ROUTE, { input_image, prompt: 'a cat', ...changes });
  expect(response.status).toBe(200);
  return { response, job: host.jobs[0], upscaling: host.upscalings[0] };
}

describe('image-upscale-vary', () => {
  it.each([
    ['Vary (Subtle)', 0.5],
    ['Vary (Strong)', 0.85],
  ])('%s starts from the image with a strength of %d and all steps', async (uov_method, strength) => {
    const { job } = await jobOf({ uov_method });
    expect(job).toMatchObject({
      init: { from: 'image', rules: 'fooocus', fit: 'stretch' },
      passes: [{ strength, steps: 30, size: { width: 1152, height: 896 } }],
    });
    expect(job?.init).not.toHaveProperty('resizeBy');
    const start = job?.init.from === 'image' ? job.init.images[0] : undefined;
    expect(await bytesOf(new Response(start))).toEqual(new Uint8Array(image));
  });

  it.each([
    ['Upscale (1.5x)', 1, { width: 1200, height: 900 }],
    ['Upscale (2x)', 1, { width: 1600, height: 1200 }],
    ['Upscale (Custom)', 1.6, { width: 1280, height: 960 }],
    ['Upscale (Custom)', 5, { width: 1600, height: 1200 }],
  ])(
    '%s by %d goes through a network, then lightly through the model',
    async (uov_method, value, resizeTo) => {
      const { job } = await jobOf({ uov_method, upscale_value: value });
      expect(job).toMatchObject({
        init: { from: 'image', rules: 'fooocus', resizeBy: 'esrgan-4x' },
        // The encoder keeps multiples of 8.
        passes: [
          {
            strength: 0.382,
            steps: 18,
            resizeTo,
            size: { ...resizeTo, height: Math.floor(resizeTo.height / 8) * 8 },
          },
        ],
      });
    },
  );

  it('doubles by default', async () => {
    const { job } = await jobOf({});
    expect(job).toMatchObject({ passes: [{ resizeTo: { width: 1600, height: 1200 } }] });
  });

  it('makes small images large enough first', async () => {
    const small = base64Of(imagePng(100, 150));
    expect((await jobOf({ input_image: small, uov_method: 'Vary (Subtle)' })).job).toMatchObject({
      passes: [{ size: { width: 768, height: 1216 } }],
    });
    const pixel = base64Of(imagePng(1, 1));
    expect((await jobOf({ input_image: pixel })).job).toMatchObject({
      passes: [{ size: { width: 1024, height: 1024 } }],
    });
  });

  it.each([
    ['Upscale (Fast 2x)', 300, 200],
    ['Upscale (2x)', 2000, 1500],
  ])('%s of %d × %d is the upscaled image itself', async (uov_method, width, height) => {
    const sent = base64Of(imagePng(width, height));
    const { job, upscaling, response } = await jobOf({ input_image: sent, uov_method, image_seed: 9 });
    expect(job).toBeUndefined();
    expect(upscaling?.post).toEqual([
      {
        kind: 'upscale',
        upscaler: 'esrgan-4x',
        size: {
          ...(width === 300 ? { width: 1200, height: 800 } : { width: 4000, height: 3000 }),
          crop: false,
          stretch: true,
        },
      },
    ]);
    expect(await jsonOf<ImageResult[]>(response)).toMatchObject([{ seed: '9', finish_reason: 'SUCCESS' }]);
  });

  it('overwrites strengths and steps', async () => {
    const advanced_params = {
      overwrite_vary_strength: 0.3,
      overwrite_upscale_strength: 0.2,
      overwrite_step: 7,
    };
    const varied = await jobOf({ uov_method: 'Vary (Strong)', advanced_params });
    expect(varied.job?.passes).toMatchObject([{ strength: 0.3, steps: 7 }]);
    const upscaled = await jobOf({ uov_method: 'Upscale (1.5x)', advanced_params });
    expect(upscaled.job?.passes).toMatchObject([{ strength: 0.2, steps: 7 }]);
  });

  it('has the steps of the performance mode, fewer for upscaling', async () => {
    const stepsOf = async (uov_method: string) =>
      (await jobOf({ uov_method, performance_selection: 'Quality' })).job?.passes[0].steps;
    expect([await stepsOf('Vary (Subtle)'), await stepsOf('Upscale (2x)')]).toEqual([60, 36]);
  });

  it('Disabled leaves the image out', async () => {
    const { job } = await jobOf({ uov_method: 'Disabled', aspect_ratios_selection: '256*128' });
    expect(job).toMatchObject({ init: { from: 'noise' }, passes: [{ size: { width: 256, height: 128 } }] });
  });

  it('resizes without a network, and says so', async () => {
    const host = createFakeHost();
    const response = await post(createApi(host), JSON_ROUTE, { input_image, uov_method: 'Upscale (2x)' });
    expect(ignoredBy(response)).toEqual(['uov_method:fooocus_upscaler_s409985e5']);
    expect(host.jobs[0]?.init).not.toHaveProperty('resizeBy');
    await post(createApi(host), JSON_ROUTE, { input_image, uov_method: 'Upscale (Fast 2x)' });
    expect(host.upscalings[0]?.post).toMatchObject([{ upscaler: 'Lanczos' }]);
  });

  it('is a form too, with the same job', async () => {
    const host = createFakeHost({ addOns: [NETWORK] });
    const api = createApi(host);
    const shared = { prompt: 'a cat', uov_method: 'Upscale (Custom)' };
    const response = await postForm(api, FORM, {
      ...shared,
      input_image: fileOf(image),
      upscale_value: '1.25',
      image_seed: '5',
      guidance_scale: '4',
      save_meta: 'True',
    });
    expect(response.status).toBe(200);
    await post(api, JSON_ROUTE, { ...shared, input_image, upscale_value: 1.25, image_seed: 5 });
    const [fromForm, fromJson] = host.jobs;
    expect(fromForm?.passes).toEqual(fromJson?.passes);
    expect(fromForm?.images).toEqual(fromJson?.images);
    expect(fromForm?.output).toEqual(fromJson?.output);
  });

  it('takes a data URI, and an image of this server by its URL', async () => {
    const host = createFakeHost({ addOns: [NETWORK] });
    const api = createApi(host);
    const [made] = await jsonOf<ImageResult[]>(
      post(api, JSON_ROUTE, {
        input_image: `data:image/png;base64,${input_image}`,
        uov_method: 'Vary (Subtle)',
      }),
    );
    const again = await post(api, JSON_ROUTE, { input_image: made?.url, uov_method: 'Vary (Subtle)' });
    expect(again.status).toBe(200);
    expect(host.jobs[1]?.passes[0].size).toEqual(host.jobs[0]?.passes[0].size);
  });

  it('answers at once, with a PNG, or tells a webhook', async () => {
    const api = createApi(createFakeHost());
    const waiting = await jsonOf<Json>(post(api, JSON_ROUTE, { input_image, async_process: true }));
    expect(waiting).toMatchObject({ job_type: 'Image Upscale or Variation' });
    expect(await untilFinished(api, waiting['job_id'])).toMatchObject({ job_stage: 'SUCCESS' });
    const fast = { input_image, uov_method: 'Upscale (Fast 2x)' };
    const png = await post(api, `${JSON_ROUTE}?accept=image/png`, fast);
    expect(png.headers.get('Content-Type')).toBe('image/png');
    expect(decodePng(await bytesOf(png))).toMatchObject({ width: 16, height: 8 });
    const asyncFast = await jsonOf<Json>(post(api, JSON_ROUTE, { ...fast, async_process: true }));
    const finished = await untilFinished(api, asyncFast['job_id']);
    expect(finished['job_result']).toMatchObject([{ finish_reason: 'SUCCESS' }]);
  });

  it.each(['fooocus', 'a1111'])('says in the scheme %s what was done', async (meta_scheme) => {
    const api = createApi(createFakeHost());
    const request = { input_image, uov_method: 'Vary (Strong)', image_seed: 3, meta_scheme };
    const [result] = await jsonOf<ImageResult[]>(post(api, JSON_ROUTE, request));
    const { parameters = '' } = await readPngText(await bytesOf(api.request(result?.url ?? '')));
    if (meta_scheme === 'fooocus') {
      expect(JSON.parse(parameters)).toMatchObject({ resolution: '(1152, 896)', denoising_strength: 0.85 });
    } else {
      expect(parameters).toContain('Size: 1152x896');
      expect(parameters).toContain('Denoising strength: 0.85,');
    }
  });
});

describe('images that cannot be used', () => {
  const damaged = base64Of(image).slice(0, 400);

  it.each([
    ['no image', 'None', /There is no image/],
    ['what is none', Buffer.from('text').toString('base64'), /is not a PNG, JPEG, WebP or GIF file/],
    ['a damaged one', damaged, /is truncated or damaged/],
    ['one too large', base64Of(claimSize(image, 12_000, 12_000)), /12000 × 12000 pixels/],
    ['one too narrow', base64Of(imagePng(4000, 1)), /too narrow/],
  ])('%s is a 422 for the field', async (_, sent, words) => {
    const host = createFakeHost();
    const body = { input_image: sent, async_process: true, uov_method: 'Vary (Subtle)' };
    const response = await post(createApi(host), JSON_ROUTE, body);
    expect(response.status).toBe(422);
    expect(await jsonOf<Json>(response)).toEqual({
      detail: [
        {
          type: 'value_error',
          loc: ['body', 'input_image'],
          msg: expect.stringMatching(words) as string,
          input: null,
        },
      ],
      body: null,
    });
    expect(await host.host.jobs()).toEqual([]);
  });

  it('a file of a form too, and the next request works', async () => {
    const host = createFakeHost();
    const api = createApi(host);
    const broken = new File([image.slice(0, 300)], 'input.png');
    const refused = await postForm(api, FORM, { input_image: broken, uov_method: 'Upscale (2x)' });
    expect(refused.status).toBe(422);
    expect(await jsonOf<Json>(refused)).toMatchObject({ detail: [{ loc: ['body', 'input_image'] }] });
    const taken = await postForm(api, FORM, { input_image: fileOf(image), uov_method: 'Upscale (2x)' });
    expect(taken.status).toBe(200);
  });

  it('one whose server does not answer', async () => {
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('Failed to fetch')));
    const body = { input_image: 'https://pictures.example/cat.png' };
    const response = await post(createApi(createFakeHost()), JSON_ROUTE, body);
    vi.unstubAllGlobals();
    expect(response.status).toBe(422);
    expect(JSON.stringify(await jsonOf(response))).toContain('cannot be reached');
  });
});
