import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { blobToBase64 } from '#codecs/base64.ts';
import type { ModelInfo } from '#protocol/model.ts';
import { progressOf, SMALL, txt2img } from '../../../../support/a1111.ts';
import { createFakeHost, OWN_GRAPHS_MODEL, TEST_MODEL, testAddOn } from '../../../../support/fake-host.ts';
import { post } from '../../../../support/http.ts';
import { pngOf } from '../../../../support/images.ts';

const HIRES = { ...SMALL, width: 512, height: 512, enable_hr: true };

const DETAIL: ModelInfo = {
  ...OWN_GRAPHS_MODEL,
  pack: { ...OWN_GRAPHS_MODEL.pack, id: 'detail' },
  selected: false,
};
const MODELS = { models: [OWN_GRAPHS_MODEL, DETAIL] };

/** A request with hires fix: its passes, and what the infotext says of them. */
async function hires(body: object, options: Parameters<typeof txt2img>[1] = {}) {
  const run = await txt2img({ ...HIRES, ...body }, options);
  const [first, second] = run.job?.passes ?? [];
  if (!first || !second) throw new Error('There is no second pass.');
  return { ...run, first, second, pairs: run.info.extra_generation_params };
}

describe('hires fix', () => {
  it('is a second pass at twice the size, in as many steps', async () => {
    const { job, first, second, pairs, info, ignored } = await hires({});
    expect(job?.init).toEqual({ from: 'noise' });
    expect(first).toMatchObject({ size: { width: 512, height: 512 }, strength: 1 });
    expect(second).toMatchObject({
      model: first.model,
      size: { width: 1024, height: 1024 },
      resizeBy: 'Latent',
      steps: 3,
      exactSteps: true,
      strength: 0.75,
      sampler: first.sampler,
      guidanceScale: 7,
    });
    expect(second).not.toHaveProperty('resizeTo');
    expect(second).not.toHaveProperty('prompts');
    expect(pairs).toEqual({ 'Denoising strength': 0.75, 'Hires upscale': '2.0' });
    expect(info).toMatchObject({ width: 512, height: 512, denoising_strength: 0.75 });
    expect(ignored).toEqual([]);
  });

  it.each([
    [{ hr_scale: 1.5 }, { size: { width: 768, height: 768 } }, { 'Hires upscale': '1.5' }],
    [{ hr_resize_x: 768 }, { size: { width: 768, height: 768 } }, { 'Hires resize': '768x0' }],
    [
      { width: 512, height: 768, hr_resize_y: 960 },
      { size: { width: 640, height: 960 } },
      { 'Hires resize': '0x960' },
    ],
    [
      { hr_resize_x: 1024, hr_resize_y: 768 },
      { size: { width: 1024, height: 768 }, resizeTo: { width: 1024, height: 1024 } },
      { 'Hires resize': '1024x768' },
    ],
    [
      { hr_scale: 1.3 },
      { size: { width: 664, height: 664 }, resizeTo: { width: 665, height: 665 } },
      { 'Hires upscale': '1.3' },
    ],
    [{ hr_second_pass_steps: 9 }, { steps: 9 }, { 'Hires steps': '9' }],
    [{ denoising_strength: 0.3 }, { strength: 0.3 }, { 'Denoising strength': 0.3 }],
    [
      { hr_upscaler: 'Latent (nearest-exact)' },
      { resizeBy: 'Latent (nearest-exact)' },
      { 'Hires upscaler': 'Latent (nearest-exact)' },
    ],
    [{ hr_upscaler: 'Latent (bicubic, antialiased)' }, { resizeBy: 'Latent (bicubic antialiased)' }, {}],
    [{ hr_upscaler: 'Nearest' }, { resizeBy: 'Nearest' }, { 'Hires upscaler': 'Nearest' }],
    [{ hr_upscaler: 'sharp' }, { resizeBy: 'sharp' }, { 'Hires upscaler': 'sharp' }],
    [
      { hr_sampler_name: 'DPM++ 2M' },
      { sampler: { sampler: 'dpmpp_2m', schedule: 'karras' } },
      { 'Hires sampler': 'DPM++ 2M', 'Hires schedule type': 'Karras' },
    ],
    [
      { hr_scheduler: 'Exponential' },
      { sampler: { schedule: 'exponential' } },
      { 'Hires schedule type': 'Exponential' },
    ],
    [
      { hr_sampler_name: 'Use same sampler', hr_scheduler: 'Use same scheduler' },
      { sampler: { sampler: 'euler' } },
      {},
    ],
    [
      { hr_prompt: 'a green pear', hr_negative_prompt: 'red' },
      { prompts: [{ prompt: ['a green pear'], negativePrompt: ['red'] }] },
      { 'Hires prompt': 'a green pear', 'Hires negative prompt': 'red' },
    ],
    [
      { override_settings: { use_old_hires_fix_width_height: true }, width: 1024, height: 768 },
      { size: { width: 1024, height: 768 } },
      { 'Hires resize': '1024x768' },
    ],
  ])('%j', async (body, pass, said) => {
    const { second, pairs } = await hires(body, { addOns: [testAddOn('upscaler', 'sharp')] });
    expect(second).toMatchObject(pass);
    expect(pairs).toMatchObject(said);
  });

  it('resizes by Lanczos without an upscaler', async () => {
    const { second, pairs } = await hires({ hr_upscaler: 'None' });
    expect(second).not.toHaveProperty('resizeBy');
    expect(pairs).toMatchObject({ 'Hires upscaler': 'None' });
  });

  it('takes the first size of old requests', async () => {
    const { first, second } = await hires({ firstphase_width: 256, firstphase_height: 384 });
    expect(first.size).toEqual({ width: 256, height: 384 });
    expect(second.size).toEqual({ width: 512, height: 768 });
  });

  it('has the first pass’s schedule for another sampler too, styles in both prompts', async () => {
    const { first, second } = await hires({
      sampler_name: 'Euler Karras',
      hr_sampler_name: 'Heun',
      hr_prompt: 'a pear',
      styles: ['SAI Anime'],
    });
    expect([first.sampler, second.sampler]).toMatchObject([
      { sampler: 'euler', schedule: 'karras' },
      { sampler: 'heun', schedule: 'karras' },
    ]);
    expect(second.prompts?.[0]?.prompt[0]).toMatch(/a pear.+/);
  });

  it('may have a checkpoint and token merging of its own', async () => {
    const { first, second, pairs } = await hires(
      { hr_checkpoint_name: 'detail', override_settings: { token_merging_ratio_hr: 0.5 } },
      MODELS,
    );
    expect([first.model, second.model]).toEqual(['photo', 'detail']);
    expect([first.graph, second.graph]).toEqual([undefined, { tokenMerging: 0.5 }]);
    expect(pairs).toMatchObject({
      'Hires checkpoint': 'detail [0123456789]',
      'Token merging ratio hr': '0.5',
    });
    expect((await hires({ hr_checkpoint_name: 'Use same checkpoint' }, MODELS)).second.model).toBe('photo');
  });

  it('adds the extra noise of img2img to the second pass', async () => {
    const { job, pairs } = await hires({
      override_settings: { img2img_extra_noise: 0.1, initial_noise_multiplier: 1.5 },
    });
    expect(job?.noise).toMatchObject({ extra: 0.1 });
    expect(job?.noise).not.toHaveProperty('initialMultiplier');
    expect(pairs).toMatchObject({ 'Extra noise': '0.1' });
  });

  it('starts from an image in place of the first pass', async () => {
    const image = await blobToBase64(pngOf(8, 8, () => [255, 0, 0]));
    const { job, first, second } = await hires({ firstpass_image: image });
    expect(job?.init).toMatchObject({ from: 'image', fit: 'stretch' });
    expect(first).toMatchObject({ strength: 0, exactSteps: true });
    expect(second).toMatchObject({ strength: 0.75 });
  });

  it.each([
    [{ hr_upscaler: 'Sharper' }, 'could not find upscaler named Sharper'],
    [{ hr_checkpoint_name: 'nowhere' }, 'Could not find checkpoint with name nowhere'],
    [{ refiner_checkpoint: 'nowhere' }, 'Could not find checkpoint with name nowhere'],
  ])('%j fails as in the original', async (body, errors) => {
    const { status, answer, job } = await txt2img({ ...HIRES, ...body });
    expect(status).toBe(500);
    expect(answer).toEqual({ error: 'Exception', detail: '', body: '', errors });
    expect(job).toBeUndefined();
  });

  it.each([
    [{ denoising_strength: -1 }, 'denoising_strength'],
    [{ hr_scale: 40 }, 'must not be above'],
    [{ hr_resize_x: 4 }, 'at least 8'],
    [{ firstphase_width: 256 }, 'at least 8'],
    [{ hr_second_pass_steps: -1 }, 'hr_second_pass_steps'],
  ])('%j is refused', async (body, detail) => {
    const { status, answer, job } = await txt2img({ ...HIRES, ...body });
    expect(status).toBe(422);
    expect(answer.detail).toContain(detail);
    expect(job).toBeUndefined();
  });

  it('comes back from its infotext', async () => {
    const infotext =
      'a pear\nSteps: 5, Sampler: Euler, CFG scale: 3.5, Seed: 7, Size: 256x256, Denoising strength: 0.4, ' +
      'Hires prompt: a ripe pear, Hires resize: 512x384, Hires steps: 6, Hires sampler: Heun, Hires upscaler: Lanczos';
    const { job } = await txt2img({ infotext });
    expect(job?.passes).toMatchObject([
      { size: { width: 256, height: 256 }, steps: 5 },
      {
        size: { width: 512, height: 384 },
        steps: 6,
        strength: 0.4,
        resizeBy: 'Lanczos',
        sampler: { sampler: 'heun' },
        prompts: [{ prompt: ['a ripe pear'] }],
      },
    ]);
  });

  it('counts each batch twice in the progress, by the steps of its pass', async () => {
    const api = createApi(createFakeHost({ stepMs: 4 }));
    const answering = post(api, '/sdapi/v1/txt2img', {
      ...HIRES,
      width: 64,
      height: 64,
      steps: 40,
      hr_second_pass_steps: 60,
      n_iter: 2,
    });
    await expect.poll(async () => (await progressOf(api)).state.sampling_step).toBeGreaterThan(0);
    expect((await progressOf(api)).state).toMatchObject({ job_count: 4, job_no: 0, sampling_steps: 40 });
    await expect.poll(async () => (await progressOf(api)).state.job_no).toBe(1);
    expect((await progressOf(api)).state).toMatchObject({ job_count: 4, sampling_steps: 60 });
    await post(api, '/sdapi/v1/interrupt');
    await answering;
  });
});

describe('a refiner', () => {
  const REFINED = { ...SMALL, refiner_checkpoint: 'detail', refiner_switch_at: 0.8 };

  it('takes over where it is asked to', async () => {
    const { pass, info, ignored } = await txt2img(REFINED, MODELS);
    expect(pass?.refiner).toEqual({ model: 'detail', switchAt: 0.8, counts: 'timestep' });
    expect(info.extra_generation_params).toMatchObject({
      Refiner: 'detail [0123456789]',
      'Refiner switch at': '0.8',
    });
    expect(ignored).toEqual([]);
  });

  it.each([
    [{ refiner_switch_at: null }, { switchAt: 0, counts: 'timestep' }],
    [{ override_settings: { refiner_switch_by_sample_steps: true } }, { switchAt: 0.8, counts: 'step' }],
  ])('%j', async (body, refiner) => {
    expect((await txt2img({ ...REFINED, ...body }, MODELS)).pass?.refiner).toMatchObject(refiner);
  });

  it.each([
    [{ refiner_switch_at: 1 }],
    [{ refiner_checkpoint: 'None' }],
    [{ refiner_checkpoint: '' }],
    [{ refiner_checkpoint: 'photo' }],
  ])('%j is none', async (body) => {
    const { pass, info } = await txt2img({ ...REFINED, ...body }, MODELS);
    expect(pass).not.toHaveProperty('refiner');
    expect(info.extra_generation_params).not.toHaveProperty('Refiner');
  });

  it.each([
    ['second pass', [false, true]],
    ['first pass', [true, false]],
    ['both passes', [true, true]],
  ])('belongs to the %s of hires fix', async (hires_fix_refiner_pass, refined) => {
    const { job } = await txt2img(
      { ...HIRES, ...REFINED, override_settings: { hires_fix_refiner_pass } },
      MODELS,
    );
    expect(job?.passes.map(({ refiner }) => refiner !== undefined)).toEqual(refined);
  });
});

describe('always-on scripts', () => {
  const asked = async (alwayson_scripts: object, body: object = SMALL) =>
    txt2img({ ...body, alwayson_scripts }, { models: [TEST_MODEL, DETAIL] });

  it('say nothing with their default arguments', async () => {
    const { status, job, ignored } = await asked({
      Refiner: { args: [false, '', 0.8] },
      Seed: { args: [-1, false, -1, 0, 0, 0] },
      Sampler: { args: [20, 'DPM++ 2M', 'Automatic'] },
      Comments: { args: [] },
    });
    expect(status).toBe(200);
    expect(ignored).toEqual([]);
    expect(job?.images[0]?.seed).toBe(1000n);
    expect(job?.passes[0]).toMatchObject({ steps: 3, sampler: { sampler: 'euler' } });
    expect(job?.passes[0]).not.toHaveProperty('refiner');
  });

  it('have their effect with others', async () => {
    const { job, answer } = await asked({
      refiner: { args: [true, 'detail', 0.6] },
      seed: { args: [5, true, 6, 0.5, 32, 48] },
      sampler: { args: [7, 'Heun', 'Karras'] },
    });
    expect(job?.images[0]).toMatchObject({ seed: 5n, subseed: 6n });
    expect(job?.noise).toMatchObject({ subseedStrength: 0.5, resizeFrom: { width: 32, height: 48 } });
    expect(job?.passes[0]).toMatchObject({
      steps: 7,
      sampler: { sampler: 'heun', schedule: 'karras' },
      refiner: { model: 'detail', switchAt: 0.6 },
    });
    expect(answer.parameters).toMatchObject({ seed: 1000, steps: 3 });
  });

  it.each([
    [{ 'soft inpainting': { args: [true] } }, 'always on script soft inpainting not found'],
    [{ Sampler: { args: ['many'] } }, "'Sampling steps' cannot be read"],
    [{ 'Extra options': { args: [true] } }, 'extra options'],
  ])('%j is refused', async (scripts, detail) => {
    const { status, answer } = await asked(scripts);
    expect(status).toBe(422);
    expect(answer.detail).toContain(detail);
  });
});
