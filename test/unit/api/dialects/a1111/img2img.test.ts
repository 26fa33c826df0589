import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { blobToBase64, toBase64 } from '#codecs/base64.ts';
import { decodePng } from '#codecs/png.ts';
import type { Init } from '#protocol/job.ts';
import { img2img, SMALL } from '../../../../support/a1111.ts';
import { createFakeHost, OWN_GRAPHS_MODEL, testAddOn } from '../../../../support/fake-host.ts';
import { post } from '../../../../support/http.ts';
import { pngOf } from '../../../../support/images.ts';

const RED = pngOf(16, 16, () => [255, 0, 0]);
const GREEN = pngOf(16, 16, () => [0, 255, 0]);
const MASK = pngOf(16, 16, (x) => (x < 8 ? [255, 255, 255] : [0, 0, 0]));
const [red, green, mask] = await Promise.all([RED, GREEN, MASK].map(blobToBase64));

/** Half of a file, and one whose header says that it is large. */
const cutOff = toBase64((await bytesIn(RED)).slice(0, 60));
const huge = toBase64(withSize(await bytesIn(RED), 12000));

async function bytesIn(file: Blob): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await file.arrayBuffer());
}

/** A PNG file with other sides in its header. */
function withSize(png: Uint8Array<ArrayBuffer>, side: number): Uint8Array {
  const view = new DataView(png.buffer);
  for (const at of [16, 20]) view.setUint32(at, side);
  return png;
}

const START = { ...SMALL, init_images: [red] };

async function bytesOf(blobs: readonly Blob[] = []): Promise<string[]> {
  return Promise.all(blobs.map((blob) => blobToBase64(blob)));
}

function imagesOf(init: Init | undefined): readonly Blob[] {
  return init && init.from !== 'noise' ? init.images : [];
}

/** Where an inpainting request starts. */
async function maskedInit(body: object, options: Parameters<typeof img2img>[1] = {}) {
  const run = await img2img({ ...START, mask, ...body }, options);
  expect(run.answer.detail).toBeUndefined();
  const init = run.job?.init;
  if (init?.from !== 'masked') throw new Error('It is no inpainting job.');
  return { ...run, init, pairs: run.info.extra_generation_params };
}

describe('POST /sdapi/v1/img2img', () => {
  it('starts from the init image at the strength of 0.75', async () => {
    const { status, job, pass, answer, info, ignored } = await img2img({ ...START, batch_size: 2 });
    expect(status).toBe(200);
    expect(answer.images).toHaveLength(2);
    expect(job?.init).toMatchObject({ from: 'image', rules: 'a1111', fit: 'stretch' });
    expect(await bytesOf(imagesOf(job?.init))).toEqual([red]);
    expect(pass).toMatchObject({ strength: 0.75, steps: 3, size: { width: 64, height: 64 } });
    expect(pass).not.toHaveProperty('exactSteps');
    expect(info.denoising_strength).toBe(0.75);
    expect(info.extra_generation_params).toMatchObject({ 'Denoising strength': 0.75 });
    expect(ignored).toEqual([]);
  });

  it('repeats the request without its images, or with them', async () => {
    const { answer } = await img2img({ ...START, mask });
    expect(answer.parameters).toMatchObject({
      init_images: null,
      mask: null,
      resize_mode: 0,
      mask_round: true,
    });
    const names = Object.keys(answer.parameters).join(' ');
    expect(names).toContain(
      'comments init_images resize_mode image_cfg_scale mask mask_blur_x mask_blur_y mask_blur mask_round ' +
        'inpainting_fill inpaint_full_res inpaint_full_res_padding inpainting_mask_invert ' +
        'initial_noise_multiplier latent_mask force_task_id sampler_index include_init_images script_name',
    );
    expect(names).not.toContain('hr_');
    const whole = await img2img({ ...START, mask, include_init_images: true });
    expect(whole.answer.parameters).toMatchObject({ init_images: [red], mask });
  });

  it('takes data URIs', async () => {
    const { job } = await img2img({ ...SMALL, init_images: [`data:image/png;base64,${String(red)}`] });
    expect(await bytesOf(imagesOf(job?.init))).toEqual([red]);
  });

  it('takes one init image for each image of a batch, and no more', async () => {
    const several = { ...SMALL, init_images: [red, green], n_iter: 2 };
    const { job, info } = await img2img({ ...several, batch_size: 3 });
    expect(await bytesOf(imagesOf(job?.init))).toEqual([red, green]);
    expect(job?.batchSize).toBe(2);
    expect(job?.images).toHaveLength(4);
    expect(info).toMatchObject({ batch_size: 2, all_seeds: [1000, 1001, 1002, 1003] });
    const tooMany = await img2img({ ...SMALL, init_images: Array.from({ length: 40 }, () => red) });
    expect(tooMany.status).toBe(500);
    expect(tooMany.answer).toMatchObject({
      error: 'RuntimeError',
      errors: 'bad number of images passed: 40; expecting 1 or less',
    });
  });

  it.each([
    [0, 'stretch'],
    [1, 'crop'],
    [2, 'fill'],
    [3, 'latent'],
  ])('resize_mode %i', async (resize_mode, fit) => {
    expect((await img2img({ ...START, resize_mode })).job?.init).toMatchObject({ fit });
  });

  it('follows the options for images from images', async () => {
    const upscaler = testAddOn('upscaler', 'sharp');
    const { job, pass, info, ignored } = await img2img(
      {
        ...START,
        initial_noise_multiplier: 1.1,
        override_settings: {
          img2img_fix_steps: true,
          img2img_color_correction: true,
          img2img_extra_noise: 0.05,
          initial_noise_multiplier: 0.9,
          upscaler_for_img2img: 'sharp',
        },
      },
      { addOns: [upscaler] },
    );
    expect(pass).toMatchObject({ exactSteps: true });
    expect(job?.init).toMatchObject({ colorCorrection: true, resizeBy: 'sharp' });
    expect(job?.noise).toMatchObject({ initialMultiplier: 1.1, extra: 0.05 });
    expect(info.extra_generation_params).toMatchObject({ 'Noise multiplier': '1.1', 'Extra noise': '0.05' });
    expect(ignored).toEqual([]);
    const unknown = await img2img({ ...START, override_settings: { upscaler_for_img2img: 'nowhere' } });
    expect(unknown.job?.init).not.toHaveProperty('resizeBy');
    expect(unknown.ignored).toEqual(['override_settings.upscaler_for_img2img']);
  });

  it('merges tokens as much as the option for img2img says, unless the request says otherwise', async () => {
    const models = [OWN_GRAPHS_MODEL];
    const merged = async (override_settings: object) =>
      (await img2img({ ...START, override_settings }, { models })).pass?.graph?.tokenMerging;
    expect(await merged({ token_merging_ratio_img2img: 0.25 })).toBe(0.25);
    expect(await merged({ token_merging_ratio_img2img: 0.25, token_merging_ratio: 0.5 })).toBe(0.5);
    const settings = { token_merging_ratio: 0.5, token_merging_ratio_img2img: 0.25 };
    const stock = await img2img(START, { models, settings });
    expect(stock.pass?.graph?.tokenMerging).toBe(0.25);
  });

  it('puts a colour under transparent parts', async () => {
    const clear = await blobToBase64(pngOf(8, 8, (x) => [0, 0, 0, x < 4 ? 255 : 0]));
    const { job } = await img2img({
      ...SMALL,
      init_images: [clear],
      override_settings: { img2img_background_color: '#0000ff' },
    });
    const [image = new Blob()] = imagesOf(job?.init);
    const { channels, data } = decodePng(new Uint8Array(await image.arrayBuffer()));
    expect(channels).toBe(3);
    expect([...data.slice(9, 15)]).toEqual([0, 0, 0, 0, 0, 255]);
  });

  it('leaves hires fix to txt2img, as the original does', async () => {
    const { job, ignored } = await img2img({ ...START, enable_hr: true, firstpass_image: red });
    expect(job?.passes).toHaveLength(1);
    expect(ignored).toEqual(['enable_hr', 'firstpass_image']);
  });

  it('fills its fields from an infotext', async () => {
    const infotext =
      'a pear\nSteps: 4, Sampler: Euler, CFG scale: 3.5, Seed: 7, Size: 64x64, Denoising strength: 0.4, ' +
      'Mask mode: Inpaint not masked, Mask blur: 2, Inpaint area: Only masked, Masked area padding: 24, Noise multiplier: 1.2';
    const { job, pass } = await img2img({ init_images: [red], mask, infotext });
    expect(pass).toMatchObject({ steps: 4, strength: 0.4 });
    expect(job?.init).toMatchObject({
      mask: { invert: true },
      blur: { x: 2, y: 2 },
      area: { padding: 24 },
      fill: 'original',
    });
    expect(job?.noise).toMatchObject({ initialMultiplier: 1.2 });
  });
});

describe('a mask', () => {
  it('has the defaults of the API', async () => {
    const { init, pairs, ignored } = await maskedInit({});
    expect(init).toMatchObject({
      mask: { kind: 'image', invert: false },
      fill: 'fill',
      blur: { x: 4, y: 4 },
      round: true,
      area: { padding: 0 },
      overlay: true,
    });
    expect(await bytesOf(init.mask.kind === 'image' ? [init.mask.mask] : [])).toEqual([mask]);
    expect(pairs).toMatchObject({
      'Mask blur': '4',
      'Inpaint area': 'Only masked',
      'Masked area padding': '0',
      'Masked content': 'fill',
    });
    expect(pairs).not.toHaveProperty('Mask mode');
    expect(ignored).toEqual([]);
  });

  it.each([
    [{ inpainting_mask_invert: 1 }, { mask: { invert: true } }, { 'Mask mode': 'Inpaint not masked' }],
    [{ mask_blur: 7 }, { blur: { x: 7, y: 7 } }, { 'Mask blur': '7' }],
    [{ mask_blur_x: 0, mask_blur_y: 9 }, { blur: { x: 0, y: 9 } }, {}],
    [{ mask_round: false }, { round: false }, {}],
    [{ inpaint_full_res: 0 }, { area: 'whole' }, {}],
    [{ inpaint_full_res_padding: 32 }, { area: { padding: 32 } }, { 'Masked area padding': '32' }],
    [{ inpainting_fill: 1 }, { fill: 'original' }, {}],
    [{ inpainting_fill: 2 }, { fill: 'latent-noise' }, { 'Masked content': 'latent noise' }],
    [{ inpainting_fill: 3 }, { fill: 'latent-nothing' }, { 'Masked content': 'latent nothing' }],
    [{ override_settings: { overlay_inpaint: false } }, { overlay: false }, {}],
    [
      { override_settings: { inpainting_mask_weight: 0.5 } },
      { hide: 0.5 },
      { 'Conditional mask weight': '0.5' },
    ],
  ])('%j', async (body, start, said) => {
    const { init, pairs } = await maskedInit(body);
    expect(init).toMatchObject(start);
    expect(pairs).toMatchObject(said);
  });

  it('says nothing of original content, of the whole image and of blurs that differ', async () => {
    const { pairs } = await maskedInit({
      inpainting_fill: 1,
      inpaint_full_res: false,
      mask_blur_x: 1,
      mask_blur_y: 2,
    });
    expect(Object.keys(pairs)).toEqual(['Denoising strength']);
  });

  it('of the latents alone pastes nothing back', async () => {
    const { job } = await img2img({ ...START, latent_mask: mask });
    expect(job?.init).toMatchObject({
      from: 'masked',
      mask: { latentOnly: true },
      area: 'whole',
      overlay: false,
    });
  });

  it('may be another one for the latents than for what is pasted back', async () => {
    const { init, ignored } = await maskedInit({ latent_mask: green });
    if (init.mask.kind !== 'image')
      throw new Error('There is no mask. Send one, or choose sides to outpaint.');
    const { mask: own, latentMask } = init.mask;
    expect(await bytesOf(latentMask ? [own, latentMask] : [own])).toEqual([mask, green]);
    expect(ignored).toEqual([]);
  });

  it('is handed back where the options say so', async () => {
    const { job } = await maskedInit({
      override_settings: { return_mask: true, return_mask_composite: true },
    });
    expect(job?.output.masks).toEqual(['mask', 'composite']);
    const without = await img2img({ ...START, override_settings: { return_mask: true } });
    expect(without.job?.output).not.toHaveProperty('masks');
  });

  it('is soft where the script says so', async () => {
    const { init, pairs } = await maskedInit({
      alwayson_scripts: { 'Soft Inpainting': { args: [true, 2, 0.25] } },
    });
    expect(init).toMatchObject({
      round: false,
      soft: {
        scheduleBias: 2,
        preservationStrength: 0.25,
        transitionContrastBoost: 4,
        maskInfluence: 0,
        differenceThreshold: 0.5,
        differenceContrast: 2,
      },
    });
    expect(pairs).toMatchObject({
      'Soft inpainting enabled': 'True',
      'Soft inpainting schedule bias': '2.0',
      'Soft inpainting difference contrast': '2.0',
    });
    const off = await maskedInit({ alwayson_scripts: { 'soft inpainting': { args: [false, 2] } } });
    expect(off.init).not.toHaveProperty('soft');
  });
});

describe('what cannot be generated from', () => {
  it.each([
    [{ init_images: null }, 404, 'Init image not found'],
    [{ init_images: [] }, 404, 'Init image not found'],
    [{ init_images: ['?'] }, 500, 'Invalid encoded image'],
    [{ init_images: ['aGVsbG8='] }, 500, 'Invalid encoded image'],
    [{ init_images: ['http://localhost:1/a.png'] }, 500, 'Invalid image url'],
    [
      { init_images: ['http://localhost:1/a.png'], override_settings: { api_enable_requests: false } },
      500,
      'Requests not allowed',
    ],
    [{ init_images: [red], mask: '?' }, 500, 'Invalid encoded image'],
    [{ init_images: [red], denoising_strength: -1 }, 422, 'denoising_strength must be between 0 and 1'],
    [{ init_images: [red], mask, inpaint_full_res_padding: -8 }, 422, 'inpaint_full_res_padding'],
    [{ init_images: [red], width: 4 }, 422, 'width and height must be at least 8'],
  ])('%j is refused with %i', async (body, status, detail) => {
    const run = await img2img({ ...SMALL, ...body });
    expect(run.status).toBe(status);
    expect(run.answer).toMatchObject({ error: 'HTTPException', body: '' });
    expect(run.answer.detail).toContain(detail);
    expect(run.job).toBeUndefined();
  });

  it.each([
    [{ init_images: [cutOff] }, 500, 'Invalid encoded image'],
    [{ init_images: [red], mask: cutOff }, 500, 'Invalid encoded image'],
    [{ init_images: [red], latent_mask: '?' }, 500, 'Invalid encoded image'],
    [
      { init_images: [huge] },
      422,
      "'init_images' has 12000 × 12000 pixels. Send one of at most 64 megapixels.",
    ],
  ])('%j is no image to generate from', async (body, status, detail) => {
    const run = await img2img({ ...SMALL, ...body });
    expect([run.status, run.answer]).toEqual([
      status,
      { error: 'HTTPException', detail, body: '', errors: '' },
    ]);
    expect(run.job).toBeUndefined();
  });

  it('an image of 1 × 1 is no problem', async () => {
    const dot = await blobToBase64(pngOf(1, 1, () => [255, 0, 0]));
    expect((await img2img({ ...SMALL, init_images: [dot] })).status).toBe(200);
  });

  it('a strength above 1 is 1, as in the original', async () => {
    expect((await img2img({ ...START, denoising_strength: 2 })).pass?.strength).toBe(1);
  });

  it('and the next request works', async () => {
    const api = createApi(createFakeHost());
    expect((await post(api, '/sdapi/v1/img2img', { init_images: ['?'] })).status).toBe(500);
    expect((await post(api, '/sdapi/v1/img2img', START)).status).toBe(200);
  });
});

it('ControlNet units without an image look at the init image, brought to size like it', async () => {
  const units = [
    { model: 'depth' },
    { model: 'depth', image: green, resize_mode: 0, module: 'canny', pixel_perfect: true },
    { model: 'depth', module: 'canny', pixel_perfect: true },
    { model: 'depth', module: 'inpaint_only' },
  ];
  const { job, info } = await img2img(
    { ...START, resize_mode: 2, alwayson_scripts: { controlnet: { args: units } } },
    { models: [OWN_GRAPHS_MODEL], addOns: [testAddOn('controlnet', 'depth', { family: 'sd1' })] },
  );
  expect(job?.controls?.map(({ image }) => image !== undefined)).toEqual([false, true, false, false]);
  expect(job?.controls).toMatchObject([
    { fit: 'contain' },
    { fit: 'stretch', preprocessor: { resolution: 64 } },
    { fit: 'contain', preprocessor: { resolution: 64 } },
    { fit: 'contain', preprocessor: { kind: 'inpaint' } },
  ]);
  expect(info.extra_generation_params['ControlNet 3']).toContain('Module: inpaint_only');
});
