import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { fromBase64 } from '#codecs/base64.ts';
import { decodePng } from '#codecs/png.ts';
import { colourOf, createFakeHost, testAddOn } from '../../../../support/fake-host.ts';
import { jsonOf, post } from '../../../../support/http.ts';

const request = {
  prompt: 'A dog',
  loras: [],
  seed: 77,
  sampler_name: 'DDIM',
  steps: 20,
  cfg_scale: 7,
  width: 100,
  height: 64,
  negative_prompt: 'cat',
  model: 'emoji-mini',
};

describe('POST /txt2img', () => {
  it('answers with images in base64 and nothing else', async () => {
    const response = await post(createApi(createFakeHost()), '/txt2img', request);
    const answer = await jsonOf<{ images: string[] }>(response);
    expect(Object.keys(answer)).toEqual(['images']);
    const image = decodePng(fromBase64(answer.images[0] ?? ''));
    expect([image.width, image.height]).toEqual([96, 64]);
    expect([...image.data.slice(0, 3)]).toEqual(colourOf(77n));
  });

  it('moves numbers into their range and replaces what is none', async () => {
    const fake = createFakeHost();
    const body = {
      prompt: 5,
      seed: 'x',
      steps: 900,
      cfg_scale: 0,
      width: 4000,
      height: 'tall',
      sampler_name: 'Zeno',
    };
    const response = await post(createApi(fake), '/txt2img', body);
    expect(fake.jobs[0]).toMatchObject({
      passes: [
        {
          steps: 60,
          guidanceScale: 1,
          size: { width: 1024, height: 512 },
          sampler: { sampler: 'dpmpp_sde', schedule: 'karras' },
        },
      ],
      images: [{ prompt: [''] }],
      noise: { source: 'philox' },
    });
    expect(response.headers.get('X-Ignored-Parameters')).toBe('sampler_name');
  });

  it('appends LoRAs to the prompt, called by name, file or hash', async () => {
    const fake = createFakeHost({ addOns: [testAddOn('lora', 'shiny'), testAddOn('vae', 'soft')] });
    const loras = [
      ['shiny.safetensors', 0.5],
      ['fedcba9876', -1],
    ];
    await post(createApi(fake), '/txt2img', { ...request, loras });
    expect(fake.jobs[0]?.images[0]?.prompt).toEqual(['A dog,<lora:shiny:0.5>,<lora:shiny:-1>']);
    for (const wrong of [['soft', 1], ['shiny', '1'], ['shiny'], 'shiny']) {
      const response = await post(createApi(fake), '/txt2img', { ...request, loras: [wrong] });
      expect([response.status, await jsonOf(response)]).toEqual([400, { msg: 'Invalid lora param' }]);
    }
    expect(fake.jobs).toHaveLength(1);
  });

  it('answers 413 for bodies above 4 MiB', async () => {
    const fake = createFakeHost();
    const whole = { ...request, prompt: 'x'.repeat(4 * 1024 * 1024 - JSON.stringify(request).length + 5) };
    expect(JSON.stringify(whole)).toHaveLength(4 * 1024 * 1024);
    expect((await post(createApi(fake), '/txt2img', whole)).status).toBe(200);
    const response = await post(createApi(fake), '/txt2img', { ...whole, prompt: `${whole.prompt}!` });
    expect([response.status, await jsonOf(response)]).toEqual([
      413,
      { msg: 'The request is larger than 4194304 bytes.' },
    ]);
    expect(fake.jobs).toHaveLength(1);
  });

  it.each([
    ['Latent', [], 'Latent', null],
    ['ESRGAN 4x', [testAddOn('upscaler', 'slim'), testAddOn('upscaler', 'ESRGAN_4x')], 'ESRGAN_4x', null],
    ['ESRGAN 4x', [testAddOn('upscaler', 'slim')], 'slim', null],
    ['ESRGAN 4x', [], 'Latent', 'upscale.upscaler'],
  ])('upscales in a second pass by %s', async (upscaler, addOns, resizeBy, ignored) => {
    const fake = createFakeHost({ addOns });
    const upscale = { scale: 1.5, denoising_strength: 0.45, upscaler };
    const response = await post(createApi(fake), '/txt2img', { ...request, width: 96, upscale });
    expect(fake.jobs[0]?.passes).toMatchObject([
      { size: { width: 96, height: 64 }, strength: 1 },
      { size: { width: 144, height: 96 }, strength: 0.45, resizeBy },
    ]);
    expect(response.headers.get('X-Ignored-Parameters')).toBe(ignored);
  });

  it('moves the numbers of upscale into their range', async () => {
    const fake = createFakeHost();
    await post(createApi(fake), '/txt2img', { ...request, width: 96, upscale: { scale: 8 } });
    await post(createApi(fake), '/txt2img', { ...request, width: 96, upscale: 'twice' });
    expect(fake.jobs[0]?.passes[1]).toMatchObject({
      size: { width: 192, height: 128 },
      strength: 0.01,
      resizeBy: 'Latent',
    });
    expect(fake.jobs[1]?.passes).toHaveLength(1);
  });

  it('uses the current model and usable sizes when nothing is said', async () => {
    const fake = createFakeHost();
    await post(createApi(fake), '/txt2img', {});
    expect(fake.jobs[0]?.passes).toMatchObject([
      { model: 'emoji-mini', size: { width: 512, height: 512 }, steps: 20, guidanceScale: 7 },
    ]);
  });

  it.each([
    [{ model: 'nowhere' }, 'Invalid model'],
    [{ model: 7 }, 'Invalid model'],
    [{ loras: [['62efe750', 0.5]] }, 'Invalid lora param'],
    [{ loras: 'all' }, 'Invalid lora param'],
  ])('answers 400 for %j', async (change, msg) => {
    const fake = createFakeHost();
    const response = await post(createApi(fake), '/txt2img', { ...request, ...change });
    expect(response.status).toBe(400);
    expect(await jsonOf(response)).toEqual({ msg: expect.stringContaining(msg) as string });
    expect(fake.jobs).toEqual([]);
  });

  it('refuses JSON with a comma too many, as the example in its documentation has', async () => {
    const response = await createApi(createFakeHost()).request('/txt2img', {
      method: 'POST',
      body: '{"steps":20,}',
    });
    expect([response.status, await jsonOf(response)]).toEqual([400, { msg: 'Invalid JSON' }]);
  });
});
