import { beforeAll, describe, expect, it } from 'vitest';
import { blobToBase64 } from '#codecs/base64.ts';
import type { Pixels } from '#codecs/png.ts';
import { openA1111 } from '../../../../support/a1111-engine.ts';
import { pngOf } from '../../../../support/images.ts';

/* What fields of a request do to the images, by the real engine on a tiny checkpoint. */

let send: Awaited<ReturnType<typeof openA1111>>;

beforeAll(async () => {
  send = await openA1111();
}, 60_000);

const START = pngOf(64, 64, (x, y) => [x * 4, y * 4, 128]);
const MASK = pngOf(64, 64, (x) => (x < 32 ? [255, 255, 255] : [0, 0, 0]));
const [start, mask] = await Promise.all([START, MASK].map((file) => blobToBase64(file)));

const made = new Map<string, Promise<Pixels>>();

/** The only image of an answer; a request that was sent before is not sent again. */
function image(route: 'txt2img' | 'img2img', body: object): Promise<Pixels> {
  const key = route + JSON.stringify(body);
  const known = made.get(key) ?? generate(route, body);
  made.set(key, known);
  return known;
}

async function generate(route: 'txt2img' | 'img2img', body: object): Promise<Pixels> {
  const { status, pixels, detail, errors } = await send(route, body);
  expect([status, detail, errors]).toEqual([200, undefined, undefined]);
  const [only] = pixels;
  if (!only) throw new Error('There is no image.');
  return only;
}

function columns({ width, height, channels, data }: Pixels, from: number, to: number): number[] {
  return Array.from({ length: height }, (_, y) => [
    ...data.slice((y * width + from) * channels, (y * width + to) * channels),
  ]).flat();
}

/** How far two images are apart, in the mean of all values. */
function distance(a: Pixels, b: Pixels): number {
  if (a.data.length !== b.data.length) return Infinity;
  return [...a.data].reduce((sum, value, at) => sum + Math.abs(value - (b.data[at] ?? 0)), 0) / a.data.length;
}

describe('img2img', () => {
  const from = (body: object = {}) => image('img2img', { init_images: [start], ...body });

  it('is the same for the same seed, and another for another seed or strength', async () => {
    const first = await from();
    expect(await generate('img2img', { init_images: [start] })).toEqual(first);
    expect(distance(await from({ seed: 6 }), first)).toBeGreaterThan(0);
    expect(distance(await from({ denoising_strength: 0.2 }), first)).toBeGreaterThan(0);
  });

  it.each([
    [{ resize_mode: 1 }],
    [{ resize_mode: 2 }],
    [{ resize_mode: 3 }],
    [{ initial_noise_multiplier: 0.5 }],
    [{ override_settings: { img2img_extra_noise: 0.5 } }],
    [{ override_settings: { img2img_color_correction: true } }],
    [{ override_settings: { img2img_fix_steps: true } }],
    [{ override_settings: { upscaler_for_img2img: 'tiny-2x' } }],
  ])('%j makes another image', async (body) => {
    const wide = await blobToBase64(pngOf(48, 24, (x, y) => [x * 5, y * 10, 128]));
    const request = { init_images: [wide], steps: 4, denoising_strength: 0.5 };
    expect(distance(await from({ ...request, ...body }), await from(request))).toBeGreaterThan(0);
  });

  it('writes its strength into the infotext', async () => {
    const { infotexts } = await send('img2img', { init_images: [start], denoising_strength: 0.5 });
    expect(infotexts[0]).toContain('Denoising strength: 0.5');
  });
});

describe('inpainting', () => {
  const inpaint = (body: object = {}) =>
    image('img2img', { init_images: [start], mask, mask_blur: 0, inpaint_full_res: false, ...body });

  it('leaves what is not masked as it was, to the last bit', async () => {
    const made = await inpaint();
    const original = await image('img2img', {
      init_images: [start],
      mask: await blobToBase64(pngOf(64, 64, () => [0, 0, 0])),
      inpaint_full_res: false,
    });
    expect(columns(made, 32, 64)).toEqual(columns(original, 32, 64));
    expect(columns(made, 0, 32)).not.toEqual(columns(original, 0, 32));
    const other = await inpaint({ inpainting_mask_invert: 1 });
    expect(columns(other, 0, 32)).toEqual(columns(original, 0, 32));
  });

  it.each([
    [{ inpainting_fill: 1 }],
    [{ inpainting_fill: 2 }],
    [{ inpainting_fill: 3 }],
    [{ mask_blur: 8 }],
    [{ mask_blur_x: 8, mask_blur: null }],
    [{ override_settings: { overlay_inpaint: false } }],
    [{ alwayson_scripts: { 'soft inpainting': { args: [true] } }, mask_blur: 8 }],
  ])('%j makes another image', async (body) => {
    expect(distance(await inpaint(body), await inpaint())).toBeGreaterThan(0);
  });

  it('generates only the masked area at the full size, with so many pixels around it', async () => {
    const corner = await blobToBase64(
      pngOf(64, 64, (x, y) => (x < 16 && y < 16 ? [255, 255, 255] : [0, 0, 0])),
    );
    const whole = await inpaint({ mask: corner });
    const masked = await inpaint({ mask: corner, inpaint_full_res: true });
    const padded = await inpaint({ mask: corner, inpaint_full_res: true, inpaint_full_res_padding: 16 });
    expect(distance(masked, whole)).toBeGreaterThan(0);
    expect(distance(padded, masked)).toBeGreaterThan(0);
    for (const made of [masked, padded]) expect(columns(made, 16, 64)).toEqual(columns(whole, 16, 64));
  });

  it('hands back the mask and the masked part behind each image', async () => {
    const { pixels, infotexts } = await send('img2img', {
      init_images: [start],
      mask,
      mask_blur: 0,
      batch_size: 2,
      override_settings: { return_mask: true, return_mask_composite: true },
    });
    expect(pixels).toHaveLength(6);
    expect(infotexts).toHaveLength(2);
    const [, white, part] = pixels;
    expect([white?.data[0], white?.data.at(-1)]).toEqual([255, 0]);
    expect(part?.channels).toBe(4);
  });
});

describe('hires fix', () => {
  it.each(['Latent', 'Latent (nearest-exact)', 'Lanczos', 'tiny-2x', 'None'])(
    'doubles by %s',
    async (name) => {
      const made = await image('txt2img', { enable_hr: true, hr_upscaler: name });
      expect([made.width, made.height]).toEqual([128, 128]);
    },
  );

  it('cuts what goes beyond the size that is asked for', async () => {
    const made = await image('txt2img', { enable_hr: true, hr_resize_x: 128, hr_resize_y: 96 });
    expect([made.width, made.height]).toEqual([128, 96]);
  });

  it('starts from an image in place of the first pass', async () => {
    const hires = { enable_hr: true, firstpass_image: start, denoising_strength: 0.3 };
    const made = await image('txt2img', hires);
    expect([made.width, made.height]).toEqual([128, 128]);
    expect(distance(made, await image('txt2img', { ...hires, firstpass_image: null }))).toBeGreaterThan(0);
    const { infotexts } = await send('txt2img', hires);
    expect(infotexts[0]).toContain('Denoising strength: 0.3');
  });

  it.each([
    [{ denoising_strength: 0.2 }],
    [{ hr_second_pass_steps: 4 }],
    [{ hr_sampler_name: 'Heun' }],
    [{ hr_scheduler: 'Karras', hr_second_pass_steps: 3 }],
    [{ hr_prompt: 'a pear' }],
    [{ hr_negative_prompt: 'a pear' }],
    [{ hr_upscaler: 'Latent (bicubic)' }],
    [{ hr_checkpoint_name: 'other' }],
    [{ refiner_checkpoint: 'other', refiner_switch_at: 0.2 }],
    [{ override_settings: { img2img_extra_noise: 0.5 } }],
  ])('%j makes another image', async (body) => {
    const plain = await image('txt2img', { enable_hr: true });
    expect(distance(await image('txt2img', { enable_hr: true, ...body }), plain)).toBeGreaterThan(0);
  });
});

describe('a refiner', () => {
  it('takes over at its share of the run, and not at all at the end', async () => {
    const refined = (refiner_switch_at: number) =>
      image('txt2img', { steps: 4, refiner_checkpoint: 'other', refiner_switch_at });
    const plain = await image('txt2img', { steps: 4 });
    const [early, late] = [await refined(0.2), await refined(0.7)];
    expect(distance(early, plain)).toBeGreaterThan(0);
    expect(distance(late, plain)).toBeGreaterThan(0);
    expect(distance(early, late)).toBeGreaterThan(0);
    expect(await refined(1)).toEqual(plain);
  });
});

describe('ControlNet', () => {
  const controlled = (unit: object, body: object = {}, route: 'txt2img' | 'img2img' = 'txt2img') =>
    image(route, { ...body, alwayson_scripts: { controlnet: { args: [{ model: 'edges', ...unit }] } } });

  it('sees what its preprocessor makes of its image', async () => {
    const plain = await image('txt2img', {});
    const seen = [
      await controlled({ image: start }),
      await controlled({ image: start, module: 'invert' }),
      await controlled({ image: start, module: 'threshold', processor_res: 64 }),
      await controlled({ image: start, module: 'threshold', processor_res: 64, threshold_a: 60 }),
    ];
    for (const one of seen) expect(distance(one, plain)).toBeGreaterThan(0);
    expect(new Set(seen.map(({ data }) => data.join())).size).toBe(seen.length);
  });

  it('sees the init image where it has none, and not what is masked of it for inpainting', async () => {
    const body = { init_images: [start], mask, inpaint_full_res: false };
    const [whole, hidden] = [
      await controlled({}, body, 'img2img'),
      await controlled({ module: 'inpaint_only' }, body, 'img2img'),
    ];
    expect(distance(whole, await image('img2img', body))).toBeGreaterThan(0);
    expect(distance(hidden, whole)).toBeGreaterThan(0);
  });
});
