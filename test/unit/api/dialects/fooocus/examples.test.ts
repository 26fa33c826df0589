import { describe, expect, it } from 'vitest';
import { createApi, type Api } from '#api/index.ts';
import { createFakeHost, testAddOn, type FakeHost } from '../../../../support/fake-host.ts';
import { type ImageResult, type Json, untilFinished } from '../../../../support/fooocus.ts';
import { jsonOf } from '../../../../support/http.ts';
import { visionAddOn } from '../../../../support/vision-add-ons.ts';
import { base64Of, imagePng, maskPng } from './images.ts';

/*
 * The requests of Fooocus-API's own examples, examples/examples_v1.py and examples_v2.py, as Python's `requests` sends them:
 * JSON without a Content-Type, forms whose files are named as their parts, truth values as `True`. Its images are larger.
 */

const photo = imagePng(96, 64);
const mask = maskPng(96, 64, 48);

function sendJson(api: Api, path: string, body: Json): Promise<Response> {
  return api.request(path, { method: 'POST', body: new TextEncoder().encode(JSON.stringify(body)) });
}

function sendForm(
  api: Api,
  path: string,
  data: Readonly<Record<string, string>>,
  files: Readonly<Record<string, Uint8Array<ArrayBuffer>>>,
): Promise<Response> {
  const form = new FormData();
  for (const [name, value] of Object.entries(data)) form.append(name, value);
  for (const [name, bytes] of Object.entries(files)) form.append(name, new Blob([bytes]), name);
  return api.request(path, { method: 'POST', body: form });
}

/** An asynchronous answer, then the end of its job. */
async function expectQueued(api: Api, answer: Promise<Response>, jobType: string): Promise<void> {
  const job = await jsonOf<Json>(answer);
  expect(job).toMatchObject({ job_type: jobType, job_result: null });
  const finished = await untilFinished(api, job['job_id']);
  expect(finished).toMatchObject({ job_stage: 'SUCCESS', job_progress: 100, job_status: 'Finished' });
  expect(finished['job_result']).toMatchObject([{ finish_reason: 'SUCCESS' }]);
}

function open(): { api: Api; host: FakeHost } {
  const host = createFakeHost({
    addOns: [
      testAddOn('lora', 'sdxl_lightning_4step_lora'),
      testAddOn('finder', 'faces'),
      visionAddOn('ip-adapter', 'ip-adapter-plus', { patch: 1280 }),
      visionAddOn('ip-adapter', 'ip-adapter-plus-face', { patch: 1280 }),
      visionAddOn('clip-vision', 'vit-h', { embedding: 1024, patch: 1280 }),
    ],
  });
  return { api: createApi(host), host };
}

describe('examples_v1.py', () => {
  it('text to image', async () => {
    const { api, host } = open();
    const answer = sendJson(api, '/v1/generation/text-to-image', {
      prompt: 'a cat',
      performance_selection: 'Lightning',
      aspect_ratios_selection: '896*1152',
      async_process: true,
    });
    await expectQueued(api, answer, 'Text to Image');
    expect(host.jobs[0]).toMatchObject({
      loras: [{ id: 'sdxl_lightning_4step_lora', strength: 1 }],
      passes: [{ steps: 4, guidanceScale: 1, size: { width: 896, height: 1152 } }],
    });
  });

  it('upscale', async () => {
    const { api, host } = open();
    const data = { uov_method: 'Upscale (2x)', async_process: 'True' };
    const answer = sendForm(api, '/v1/generation/image-upscale-vary', data, { input_image: photo });
    await expectQueued(api, answer, 'Image Upscale or Variation');
    expect(host.jobs[0]).toMatchObject({ init: { from: 'image' }, passes: [{ strength: 0.382, steps: 18 }] });
  });

  it('inpaint and outpaint', async () => {
    const { api, host } = open();
    const data = { prompt: 'a cat', outpaint_selections: 'Left,Top', async_process: 'True' };
    const files = { input_image: photo, input_mask: mask };
    const answer = sendForm(api, '/v1/generation/image-inpaint-outpaint', data, files);
    await expectQueued(api, answer, 'Image Inpaint or Outpaint');
    expect(host.jobs[0]).toMatchObject({
      init: { from: 'masked', expand: { left: 28, top: 19, right: 0, bottom: 0 } },
    });
  });

  it('image prompts', async () => {
    const { api, host } = open();
    const data = { prompt: 'a cat', image_prompts: 'cn_stop', async_process: 'True' };
    const files = { cn_img1: photo, cn_img2: photo };
    await expectQueued(api, sendForm(api, '/v1/generation/image-prompt', data, files), 'Image Prompt');
    expect(host.jobs[0]?.imagePrompts).toHaveLength(2);
  });
});

describe('examples_v2.py', () => {
  const input_image = base64Of(photo);

  it.each([
    ['Upscale (2x)', 0.382],
    ['Vary (Strong)', 0.85],
  ])('%s', async (uov_method, strength) => {
    const { api, host } = open();
    const answer = sendJson(api, '/v2/generation/image-upscale-vary', {
      input_image,
      performance_selection: 'Lightning',
      uov_method,
      async_process: true,
    });
    await expectQueued(api, answer, 'Image Upscale or Variation');
    expect(host.jobs[0]).toMatchObject({ init: { from: 'image' }, passes: [{ strength, steps: 4 }] });
  });

  it('inpaint and outpaint', async () => {
    const { api, host } = open();
    const answer = sendJson(api, '/v2/generation/image-inpaint-outpaint', {
      prompt: 'a cat',
      performance_selection: 'Speed',
      input_image,
      input_mask: base64Of(mask),
      outpaint_selections: ['Left', 'Right'],
      async_process: false,
    });
    expect(await jsonOf<ImageResult[]>(answer)).toMatchObject([{ base64: null, finish_reason: 'SUCCESS' }]);
    expect(host.jobs[0]).toMatchObject({
      init: { from: 'masked', expand: { left: 28, top: 0, right: 28, bottom: 0 } },
    });
  });

  it.each([
    [
      '/v2/generation/image-prompt',
      {
        performance_selection: 'Speed',
        aspect_ratios_selection: '896*1152',
        image_prompts: [
          { cn_img: input_image, cn_stop: 0.5, cn_weight: 0.6, cn_type: 'ImagePrompt' },
          { cn_img: input_image, cn_stop: 0.9, cn_weight: 0.75, cn_type: 'FaceSwap' },
        ],
        async_process: false,
      },
    ],
    [
      '/v2/generation/text-to-image-with-ip',
      {
        prompt: 'a cat',
        image_prompts: [{ cn_img: input_image, cn_stop: 0.6, cn_weight: 0.8, cn_type: 'ImagePrompt' }],
        outpaint_selections: ['Left', 'Right'],
      },
    ],
  ])('%s', async (path, body) => {
    const { api, host } = open();
    const answer = sendJson(api, path, body);
    expect(await jsonOf<ImageResult[]>(answer)).toMatchObject([{ finish_reason: 'SUCCESS' }]);
    expect(host.jobs[0]?.imagePrompts).toHaveLength(body.image_prompts.length);
  });
});
