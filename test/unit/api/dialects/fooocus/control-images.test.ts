import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import type { AddOnInfo } from '#protocol/model.ts';
import { createFakeHost, testAddOn } from '../../../../support/fake-host.ts';
import { type Json, postForm } from '../../../../support/fooocus.ts';
import { jsonOf, post } from '../../../../support/http.ts';
import { base64Of, fileOf, imagePng } from './images.ts';

const TEXT = '/v2/generation/text-to-image-with-ip';
const FORM = '/v1/generation/image-prompt';

const image = imagePng(40, 30);
const cn_img = base64Of(image);
const networks = [testAddOn('controlnet', 'sd15-canny'), testAddOn('controlnet', 'fooocus_xl_cpds_128')];

async function controlsOf(changes: Json, path = TEXT, addOns: readonly AddOnInfo[] = networks) {
  const host = createFakeHost({ addOns });
  const response = await post(createApi(host), path, { prompt: 'a cat', ...changes });
  expect(response.status).toBe(200);
  return host.jobs[0]?.controls ?? [];
}

describe('image prompts that are control images', () => {
  it('steer with the installed ControlNet of their type, by Fooocus’s preprocessors and defaults', async () => {
    const image_prompts = [
      { cn_img, cn_type: 'PyraCanny' },
      { cn_img: 'None', cn_type: 'PyraCanny' },
      { cn_img, cn_type: 'CPDS', cn_stop: 0.8, cn_weight: 0.6 },
    ];
    const [edges, contrasts, ...others] = await controlsOf({ image_prompts });
    expect(others).toEqual([]);
    expect(edges).toMatchObject({
      id: 'sd15-canny',
      fit: 'cover',
      preprocessor: { kind: 'fooocus', map: 'PyraCanny', low: 64, high: 128 },
      strength: 1,
      start: 0,
      end: 0.5,
      balance: 'even',
      softness: 0.25,
    });
    expect(new Uint8Array((await edges?.image?.arrayBuffer()) ?? [])).toEqual(new Uint8Array(image));
    expect(contrasts).toMatchObject({
      id: 'fooocus_xl_cpds_128',
      preprocessor: { kind: 'fooocus', map: 'CPDS' },
      strength: 0.6,
      end: 0.8,
    });
  });

  it('follow advanced_params', async () => {
    const image_prompts = [{ cn_img, cn_type: 'PyraCanny' }];
    const advanced_params = { canny_low_threshold: 20, canny_high_threshold: 40, controlnet_softness: 0 };
    expect(await controlsOf({ image_prompts, advanced_params })).toMatchObject([
      { preprocessor: { low: 20, high: 40 }, softness: 0 },
    ]);
    const finished = { skipping_cn_preprocessor: true };
    expect(await controlsOf({ image_prompts, advanced_params: finished })).toMatchObject([
      { preprocessor: { map: null } },
    ]);
  });

  it('are at most four', async () => {
    const image_prompts = Array.from({ length: 6 }, () => ({ cn_img, cn_type: 'CPDS' }));
    expect(await controlsOf({ image_prompts })).toHaveLength(4);
  });

  it('go with variations and inpainting', async () => {
    const host = createFakeHost({ addOns: networks });
    const api = createApi(host);
    const shared = { input_image: cn_img, image_prompts: [{ cn_img, cn_type: 'PyraCanny' }] };
    await post(api, '/v2/generation/image-upscale-vary', { ...shared, uov_method: 'Vary (Subtle)' });
    for (const route of ['image-inpaint-outpaint', 'image-prompt']) {
      await post(api, `/v2/generation/${route}`, { ...shared, outpaint_selections: ['Left'] });
    }
    expect(host.jobs.map(({ init, controls }) => [init.from, controls?.length])).toEqual([
      ['image', 1],
      ['masked', 1],
      ['masked', 1],
    ]);
  });

  it('come as files of a form', async () => {
    const host = createFakeHost({ addOns: networks });
    const response = await postForm(createApi(host), FORM, {
      cn_img2: fileOf(image),
      cn_type2: 'PyraCanny',
      cn_stop2: '0.7',
      cn_weight2: '',
      cn_img4: fileOf(image),
      cn_type4: 'CPDS',
      outpaint_selections: '',
    });
    expect(response.status).toBe(200);
    expect(host.jobs[0]?.controls).toMatchObject([
      { id: 'sd15-canny', end: 0.7, strength: 1 },
      { id: 'fooocus_xl_cpds_128', end: 0.5 },
    ]);
    expect(host.jobs[0]?.init).toEqual({ from: 'noise' });
  });

  it('need a ControlNet that fits the model', async () => {
    const large = testAddOn('controlnet', 'control-lora-canny-rank128', { family: 'sdxl' });
    const host = createFakeHost({ addOns: [large] });
    const response = await post(createApi(host), TEXT, { image_prompts: [{ cn_img, cn_type: 'PyraCanny' }] });
    expect(response.status).toBe(404);
    expect(await jsonOf<Json>(response)).toEqual({
      detail:
        'Image prompts of type PyraCanny need a ControlNet for Emoji Mini. Install control-lora-canny-rank128.safetensors in Models, or another one with “canny” in its name.',
    });
  });

  it('that are damaged are named by their place', async () => {
    const image_prompts = [
      { cn_img, cn_type: 'CPDS' },
      { cn_img: cn_img.slice(0, 60), cn_type: 'CPDS' },
    ];
    const response = await post(createApi(createFakeHost({ addOns: networks })), TEXT, { image_prompts });
    expect(response.status).toBe(422);
    expect(await jsonOf<Json>(response)).toMatchObject({
      detail: [{ type: 'value_error', loc: ['body', 'image_prompts', 1, 'cn_img'] }],
    });
  });
});
