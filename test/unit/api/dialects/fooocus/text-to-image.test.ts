import { describe, expect, it } from 'vitest';
import { samplers, schedules } from '#api/dialects/fooocus/samplers.ts';
import { createApi } from '#api/index.ts';
import { decodePng } from '#codecs/png.ts';
import { isKDiffusionSamplerName } from '#engine/samplers/k-diffusion/index.ts';
import { isSigmaScheduleName } from '#engine/samplers/k-diffusion/sigma-schedules.ts';
import {
  bytesOf,
  generate,
  ignoredBy,
  type ImageResult,
  postExample,
  TEXT_TO_IMAGE,
} from '../../../../support/fooocus.ts';
import { colourOf, createFakeHost } from '../../../../support/fake-host.ts';
import { jsonOf } from '../../../../support/http.ts';

describe('text-to-image', () => {
  it('answers with a list of images by URL, their seeds as text', async () => {
    const api = createApi(createFakeHost());
    const response = await postExample(api, { image_number: 2 });
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
      task: 'generate',
      init: { from: 'noise' },
      images: [
        { prompt: ['a red apple'], negativePrompt: ['blurry'], seed: 1234n },
        { prompt: ['a red apple'], negativePrompt: ['blurry'], seed: 1235n },
      ],
      batchSize: 1,
      passes: [
        {
          model: 'emoji-mini',
          size: { width: 256, height: 128 },
          steps: 30,
          strength: 1,
          guidanceScale: 3.5,
          sampler: {
            family: 'k-diffusion',
            sampler: 'euler_ancestral',
            schedule: 'sgm_uniform',
            options: { reference: 'comfyui' },
          },
        },
      ],
      post: [],
      noise: { source: 'torch-cpu' },
      promptOptions: { syntax: 'fooocus', clipSkip: 1 },
    });
  });

  it("has the defaults of Fooocus's preset, also for an empty body without a type", async () => {
    const host = createFakeHost();
    const response = await createApi(host).request(TEXT_TO_IMAGE, { method: 'POST', body: '{}' });
    expect(response.status).toBe(200);
    expect(host.jobs[0]).toMatchObject({
      passes: [
        {
          size: { width: 1152, height: 896 },
          steps: 30,
          guidanceScale: 4,
          sampler: { sampler: 'dpmpp_2m_sde_gpu', schedule: 'karras' },
        },
      ],
      promptOptions: { clipSkip: 2 },
    });
    expect(ignoredBy(response)).toEqual([]);
  });

  it('chooses a random seed for -1 and for what is out of range', async () => {
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
    expect(host.jobs[0]).toMatchObject({
      passes: [{ steps, guidanceScale, sampler: { sampler, schedule } }],
    });
  });

  it("names a fast mode's LoRA, which is not there", async () => {
    const response = await postExample(createApi(createFakeHost()), {
      performance_selection: 'Lightning',
    });
    expect(ignoredBy(response)).toEqual(['performance_selection:sdxl_lightning_4step_lora.safetensors']);
  });

  it('lets overwriting fields win', async () => {
    const host = createFakeHost();
    await generate(createApi(host), {
      performance_selection: 'Lightning',
      advanced_params: { overwrite_step: 7, overwrite_width: 300, overwrite_height: 200 },
    });
    expect(host.jobs[0]).toMatchObject({ passes: [{ steps: 7, size: { width: 296, height: 200 } }] });
  });

  it('takes the default for unknown names and says so', async () => {
    const host = createFakeHost();
    const response = await postExample(createApi(host), {
      prompt: 'an apple <lora:shiny:0.5>',
      base_model_name: 'other.safetensors',
      refiner_model_name: 'refiner.safetensors',
      style_selections: ['No Such Style'],
      loras: [{ model_name: 'a.safetensors', weight: 0.5 }],
      sharpness: 5,
      surprise: true,
      advanced_params: {
        sampler_name: 'magic',
        scheduler_name: 'none',
        adaptive_cfg: 3,
        adm_scaler_end: 0.5,
        vae_name: 'no.pt',
      },
    });
    expect(response.status).toBe(200);
    expect(host.jobs[0]).toMatchObject({
      passes: [
        {
          model: 'emoji-mini',
          sampler: { sampler: 'dpmpp_2m_sde_gpu', schedule: 'karras' },
          fooocusGuidance: {
            adaptiveScale: 3,
            sharpness: 5,
            sizes: { positive: 1.5, negative: 0.8, end: 0.5 },
          },
        },
      ],
      images: [{ prompt: ['an apple'] }],
    });
    expect(ignoredBy(response)).toEqual([
      // Other models than SDXL's are not given sizes.
      'advanced_params.adm_scaler_end',
      'advanced_params.sampler_name',
      'advanced_params.scheduler_name',
      'advanced_params.vae_name',
      'base_model_name',
      'loras:a.safetensors',
      'prompt:lora:shiny',
      'refiner_model_name',
      'style_selections:No Such Style',
      'surprise',
    ]);
  });

  it('says nothing of LoRAs that are switched off', async () => {
    const response = await postExample(createApi(createFakeHost()), {
      loras: [{ enabled: false, model_name: 'a.safetensors' }],
    });
    expect(ignoredBy(response)).toEqual([]);
  });

  it('finds the model by its file name', async () => {
    const response = await postExample(createApi(createFakeHost()), {
      base_model_name: 'emoji-mini.safetensors',
    });
    expect(ignoredBy(response)).toEqual([]);
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
