import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { decodePng } from '#codecs/png.ts';
import type { GenerateJob, MaskedInit } from '#protocol/job.ts';
import type { ModelInfo } from '#protocol/model.ts';
import { createFakeHost, OWN_GRAPHS_MODEL, testAddOn } from '../../../../support/fake-host.ts';
import { bytesOf, ignoredBy, type ImageResult, type Json, postForm } from '../../../../support/fooocus.ts';
import { jsonOf, post } from '../../../../support/http.ts';
import { base64Of, fileOf, imagePng, maskPng } from './images.ts';

const XL: ModelInfo = { ...OWN_GRAPHS_MODEL, pack: { ...OWN_GRAPHS_MODEL.pack, family: 'sdxl' } };

const FORM = '/v1/generation/image-inpaint-outpaint';
const JSON_ROUTE = '/v2/generation/image-inpaint-outpaint';

const image = imagePng(120, 80);
const mask = maskPng(120, 80, 100);
const input_image = base64Of(image);
const input_mask = base64Of(mask);

function initOf(job: GenerateJob | undefined): MaskedInit {
  if (job?.init.from !== 'masked') throw new Error('It is not an inpaint job.');
  return job.init;
}

async function jobOf(changes: Json) {
  const host = createFakeHost({ addOns: [testAddOn('upscaler', 'esrgan-4x')] });
  const body = { input_image, input_mask, prompt: 'a cat', ...changes };
  const response = await post(createApi(host), JSON_ROUTE, body);
  expect(response.status).toBe(200);
  const [job] = host.jobs;
  return { job, init: initOf(job), response };
}

/** Where a row of the mask of a job is white. */
async function whiteOf({ mask: source }: MaskedInit, row = 40): Promise<[from: number, to: number][]> {
  if (source.kind === 'none') return [];
  const { width, channels, data } = decodePng(await bytesOf(new Response(source.mask)));
  const spans: [number, number][] = [];
  for (let x = 0; x < width; x++) {
    const sample = data[(row * width + x) * channels] ?? 0;
    expect([0, 255]).toContain(sample);
    if (sample === 0) continue;
    const last = spans.at(-1);
    if (last?.[1] === x) last[1] = x + 1;
    else spans.push([x, x + 1]);
  }
  return spans;
}

describe('inpainting', () => {
  it('generates the masked part again, by Fooocus’s rules', async () => {
    const { job, init } = await jobOf({});
    expect(init).toMatchObject({
      rules: 'fooocus',
      fill: 'fill',
      area: { field: 1 },
      overlay: true,
      round: true,
      resizeBy: 'esrgan-4x',
      mask: { kind: 'image', invert: false },
    });
    expect(init).not.toHaveProperty('expand');
    expect(job?.passes).toMatchObject([{ strength: 1, steps: 30, size: { width: 1024, height: 1024 } }]);
    expect(await whiteOf(init)).toEqual([[100, 120]]);
  });

  it.each([
    [{ invert_mask_checkbox: true }, [[0, 100]]],
    [{ inpaint_erode_or_dilate: 10 }, [[90, 120]]],
    [{ inpaint_erode_or_dilate: -5 }, [[105, 120]]],
    [{ inpaint_erode_or_dilate: 10, invert_mask_checkbox: true }, [[0, 90]]],
  ])('the mask with %o is white at %o', async (advanced_params, white) => {
    expect(await whiteOf((await jobOf({ advanced_params })).init)).toEqual(white);
  });

  it('a mask of another size is stretched, and grey above the middle is white', async () => {
    const half = imagePng(60, 40, (x) => (x < 30 ? [120, 120, 120] : [140, 140, 140]));
    expect(await whiteOf((await jobOf({ input_mask: base64Of(half) })).init)).toEqual([[60, 120]]);
  });

  it('strength, field and start are the request’s', async () => {
    const { job, init } = await jobOf({
      advanced_params: { inpaint_strength: 0.6, inpaint_respective_field: 0.2 },
    });
    expect(job?.passes[0].strength).toBe(0.6);
    expect(init).toMatchObject({ fill: 'original', area: { field: 0.2 } });
    const empty = await jobOf({ advanced_params: { inpaint_disable_initial_latent: true } });
    expect(empty.init.fill).toBe('latent-nothing');
  });

  it('the additional prompt is a line before the prompt', async () => {
    const { job } = await jobOf({ inpaint_additional_prompt: 'a hat', style_selections: [] });
    expect(job?.images[0]?.prompt).toEqual(['a hat', 'a cat']);
  });

  it('metadata tell the size that is generated and the strength', async () => {
    const parametersOf = async (changes: Json) => {
      const { job } = await jobOf(changes);
      return JSON.parse(job?.output.texts?.[0]?.['parameters'] ?? '{}') as Json;
    };
    // 120 × 80 as a whole, and the square around a strip of 20 × 80 at the right.
    expect(await parametersOf({})).toMatchObject({ resolution: '(1216, 832)', denoising_strength: 1 });
    const small = { inpaint_respective_field: 0, inpaint_strength: 0.5 };
    expect(await parametersOf({ advanced_params: small })).toMatchObject({
      resolution: expect.not.stringContaining('1216') as string,
      denoising_strength: 0.5,
    });
  });

  it('with the patch of the engine installed uses it, and ends without it', async () => {
    const patches = [
      ['the-head', 'head'],
      ['the-v2.5', 'v2.5'],
    ].map(([id = '', network = '']) => {
      const info = testAddOn('inpaint-patch', id, { family: 'sdxl' });
      return { ...info, pack: { ...info.pack, network } };
    });
    const jobWith = async (changes: Json) => {
      const host = createFakeHost({ models: [XL], addOns: patches });
      const body = { input_image, input_mask, prompt: 'a cat', ...changes };
      const response = await post(createApi(host), JSON_ROUTE, body);
      const [job] = host.jobs;
      return { init: initOf(job), pass: job?.passes[0], texts: job?.output.texts, response };
    };
    const engine = (inpaint_engine: string) => ({ advanced_params: { inpaint_engine } });
    const { init, pass, texts, response } = await jobWith({ ...engine('v2.5'), save_meta: true });
    expect(init.patch).toEqual({ head: 'the-head', weights: 'the-v2.5' });
    expect(pass?.refiner).toEqual({ model: XL.pack.id, switchAt: 0.8, counts: 'step' });
    expect(JSON.parse(texts?.[0]?.['parameters'] ?? '{}')).toMatchObject({ refiner_switch: 0.8 });
    expect(ignoredBy(response)).not.toContain('advanced_params.inpaint_engine');
    const without = await jobWith(engine('v2.6'));
    expect(without.init).not.toHaveProperty('patch');
    expect(without.pass).not.toHaveProperty('refiner');
    expect(ignoredBy(without.response)).toContain('advanced_params.inpaint_engine');
    expect((await jobWith(engine('None'))).init).not.toHaveProperty('patch');
  });

  it('a chosen inpaint engine is named as without effect, None is not', async () => {
    const namesFor = async (inpaint_engine: string) =>
      ignoredBy((await jobOf({ advanced_params: { inpaint_engine } })).response);
    expect(await namesFor('v2.5')).toContain('advanced_params.inpaint_engine');
    expect(await namesFor('None')).not.toContain('advanced_params.inpaint_engine');
  });
});

describe('outpainting', () => {
  it('grows sides by 30 %, or by a distance', async () => {
    const { init } = await jobOf({
      input_mask: '',
      outpaint_selections: ['Left', 'Bottom', 'Right'],
      outpaint_distance_right: 50,
      outpaint_distance_top: 99,
    });
    expect(init).toMatchObject({
      mask: { kind: 'none' },
      expand: { left: 36, top: 0, right: 50, bottom: 24 },
    });
  });

  it('goes with a mask', async () => {
    const { init } = await jobOf({ outpaint_selections: ['Top'] });
    expect(init.expand).toEqual({ left: 0, top: 24, right: 0, bottom: 0 });
    expect(await whiteOf(init)).toEqual([[100, 120]]);
  });

  it('inverts a mask that is not sent too: all is generated again', async () => {
    const advanced_params = { invert_mask_checkbox: true };
    expect(await whiteOf((await jobOf({ input_mask: 'None', advanced_params })).init)).toEqual([[0, 120]]);
  });
});

describe('as a form', () => {
  it('is the same job', async () => {
    const host = createFakeHost();
    const api = createApi(host);
    const shared = { prompt: 'a cat', inpaint_additional_prompt: 'a hat' };
    const response = await postForm(api, FORM, {
      ...shared,
      input_image: fileOf(image),
      input_mask: fileOf(mask),
      image_seed: '5',
      guidance_scale: '4',
      save_meta: 'true',
      outpaint_selections: 'Left, Top',
      outpaint_distance_left: '20',
      advanced_params: '{"inpaint_strength": 0.7}',
    });
    expect(await jsonOf<ImageResult[]>(response)).toMatchObject([{ seed: '5' }]);
    await post(api, JSON_ROUTE, {
      ...shared,
      input_image,
      input_mask,
      image_seed: 5,
      outpaint_selections: ['Left', 'Top'],
      outpaint_distance_left: 20,
      advanced_params: { inpaint_strength: 0.7 },
    });
    const [fromForm, fromJson] = host.jobs;
    expect(fromForm?.passes).toEqual(fromJson?.passes);
    expect(fromForm?.images).toEqual(fromJson?.images);
    expect(fromForm?.output).toEqual(fromJson?.output);
    expect(initOf(fromForm).expand).toEqual({ left: 20, top: 24, right: 0, bottom: 0 });
    expect(await whiteOf(initOf(fromForm))).toEqual(await whiteOf(initOf(fromJson)));
  });

  it('names a side that there is not', async () => {
    const parts = { input_image: fileOf(image), outpaint_selections: 'Left,Above' };
    const response = await postForm(createApi(createFakeHost()), FORM, parts);
    expect(response.status).toBe(422);
    expect(await jsonOf<Json>(response)).toMatchObject({
      detail: [{ type: 'enum', loc: ['body', 'outpaint_selections', 1] }],
    });
  });
});

describe('what cannot be done', () => {
  it.each([
    ['no mask', { input_mask: '' }, 'input_mask', /nothing to inpaint/],
    ['a black mask', { input_mask: base64Of(maskPng(120, 80, 120)) }, 'input_mask', /nothing to inpaint/],
    [
      'a white mask, inverted',
      { input_mask: base64Of(maskPng(8, 8, 0)), advanced_params: { invert_mask_checkbox: true } },
      'input_mask',
      /nothing to inpaint/,
    ],
    ['no image', { input_image: '' }, 'input_image', /There is no image/],
    [
      'a side without end',
      { outpaint_selections: ['Left'], outpaint_distance_left: 1_000_000 },
      'outpaint_selections',
      /1000120 × 80 pixels/,
    ],
    ['a damaged mask', { input_mask: input_mask.slice(0, 60) }, 'input_mask', /truncated or damaged/],
  ])('%s is a 422', async (_, changes, field, words) => {
    const host = createFakeHost();
    const body = { input_image, input_mask, async_process: true, ...changes };
    const response = await post(createApi(host), JSON_ROUTE, body);
    expect(response.status).toBe(422);
    expect(await jsonOf<Json>(response)).toMatchObject({
      detail: [{ type: 'value_error', loc: ['body', field], msg: expect.stringMatching(words) as string }],
    });
    expect(await host.host.jobs()).toEqual([]);
  });

  it('a full mask is all of the image', async () => {
    expect(await whiteOf((await jobOf({ input_mask: base64Of(maskPng(8, 8, 0)) })).init)).toEqual([[0, 120]]);
  });
});
