import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApi, type Api } from '#api/index.ts';
import { decodePng } from '#codecs/png.ts';
import { createEngine } from '#engine/engine.ts';
import { packs } from '#library/packs/index.ts';
import { startFakeLibrary } from '../../../../support/fake-library.ts';
import { bytesOf, type ImageResult, type Json, postForm } from '../../../../support/fooocus.ts';
import { asThread, openHostAround, type HostTab } from '../../../../support/host-around.ts';
import { jsonOf, post } from '../../../../support/http.ts';
import { compareImages } from '../../../../support/images.ts';
import { EMOJI_MINI, openNodeRuntime, readFrom } from '../../../../support/node-engine.ts';
import { includedPacks } from '../../../../support/vision-engine.ts';
import { base64Of, fileOf, imagePng, maskPng } from './images.ts';

/** Images from images on the built-in model, from request to image. */

const engine = createEngine(openNodeRuntime, ({ id }) => readFrom(path.join(EMOJI_MINI, '..', id)));
let tab: HostTab;
let api: Api;

beforeAll(async () => {
  const state = { stage: 'installed', installedAt: 0 } as const;
  tab = await openHostAround({
    startEngine: () => asThread(engine),
    library: startFakeLibrary({
      packs: [packs['emoji-mini'], ...includedPacks].map((pack) => ({ pack, state })),
    }),
  });
  const { host } = tab;
  api = createApi({ connect: () => Promise.resolve({ host, ended: new Promise<void>(() => undefined) }) });
}, 120_000);

afterAll(async () => {
  tab.close();
  await engine.unload();
});

const SIDE = 96;
const sky = imagePng(SIDE, SIDE, (x, y) => [90 + (x % 32), 160, 230 - (y % 32)]);
const input_image = base64Of(sky);

const REQUEST = {
  prompt: 'green frog, cartoon style',
  style_selections: [],
  image_seed: 7,
  advanced_params: { overwrite_step: 2, sampler_name: 'euler', scheduler_name: 'normal' },
};

async function imageOf(answer: Promise<Response>): Promise<Uint8Array> {
  const response = await answer;
  expect(response.status).toBe(200);
  const [result] = await jsonOf<ImageResult[]>(response);
  expect(result).toMatchObject({ finish_reason: 'SUCCESS', seed: '7' });
  return bytesOf(api.request(result?.url ?? ''));
}

function generate(route: string, changes: Json): Promise<Uint8Array> {
  const { advanced_params, ...others } = changes;
  const body = {
    ...REQUEST,
    input_image,
    ...others,
    advanced_params: { ...REQUEST.advanced_params, ...(advanced_params as Json | undefined) },
  };
  return imageOf(post(api, `/v2/generation/${route}`, body));
}

/** Images that several tests look at, each generated once. */
const generated = new Map<string, Promise<Uint8Array>>();

function once(route: string, changes: Json): Promise<Uint8Array> {
  const key = JSON.stringify([route, changes]);
  const image = generated.get(key) ?? generate(route, changes);
  generated.set(key, image);
  return image;
}

const resized = () => once('image-upscale-vary', { uov_method: 'Upscale (Fast 2x)' });
const inpainted = () => once('image-inpaint-outpaint', { input_mask: base64Of(maskPng(SIDE, SIDE, 64)) });
const vary = (changes: Json) => generate('image-upscale-vary', { uov_method: 'Vary (Subtle)', ...changes });
const inpaint = (changes: Json) => generate('image-inpaint-outpaint', changes);

describe('on the built-in model', () => {
  it('a variation keeps more of the image the weaker it is', async () => {
    const [subtle, strong] = [
      await vary({ advanced_params: { overwrite_vary_strength: 0.2 } }),
      await vary({ uov_method: 'Vary (Strong)' }),
    ];
    expect(decodePng(subtle)).toMatchObject({ width: 1024, height: 1024 });
    const large = await resized();
    expect(compareImages(subtle, large).mean).toBeLessThan(compareImages(strong, large).mean);
  });

  it('upscaling is close to the image', async () => {
    const upscaled = await generate('image-upscale-vary', { uov_method: 'Upscale (2x)' });
    const { mean } = compareImages(upscaled, await resized());
    expect(mean).toBeGreaterThan(0.1);
    expect(mean).toBeLessThan(40);
  });

  it('Fast 2x makes small images as large as SDXL was trained at, whatever that does to their aspect', async () => {
    const small = base64Of(imagePng(100, 150));
    const changes = { input_image: small, uov_method: 'Upscale (Fast 2x)' };
    const image = decodePng(await generate('image-upscale-vary', changes));
    expect(image).toMatchObject({ width: 768, height: 1216 });
  });

  it('inpainting leaves what is far from the mask as it is', async () => {
    const [made, given] = [decodePng(await inpainted()), decodePng(sky)];
    expect(made).toMatchObject({ width: SIDE, height: SIDE });
    let changed = 0;
    for (let pixel = 0; pixel < SIDE * SIDE; pixel++) {
      const difference = Math.max(
        ...[0, 1, 2].map((c) =>
          Math.abs(
            (made.data[pixel * made.channels + c] ?? 0) - (given.data[pixel * given.channels + c] ?? 0),
          ),
        ),
      );
      // The mask fades out over 32 pixels.
      if (pixel % SIDE < 30) expect(difference).toBeLessThanOrEqual(1);
      if (pixel % SIDE >= 64 && difference > 8) changed++;
    }
    expect(changed).toBeGreaterThan((SIDE * 32) / 4);
  });

  it('outpainting keeps the image inside of what is new', async () => {
    const parts = {
      prompt: REQUEST.prompt,
      style_selections: '',
      image_seed: '7',
      input_image: fileOf(sky),
      outpaint_selections: 'Left,Bottom',
      outpaint_distance_bottom: '40',
      advanced_params: JSON.stringify(REQUEST.advanced_params),
    };
    const image = await imageOf(postForm(api, '/v1/generation/image-inpaint-outpaint', parts));
    const { width, height, channels, data } = decodePng(image);
    expect({ width, height }).toEqual({ width: SIDE + 28, height: SIDE + 40 });
    const given = decodePng(sky);
    const at = (28 + 80) * channels;
    for (let c = 0; c < 3; c++) {
      expect(Math.abs((data[at + c] ?? 0) - (given.data[80 * given.channels + c] ?? 0))).toBeLessThanOrEqual(
        1,
      );
    }
  });

  it('inpainting from nothing, or a smaller field, is another image', async () => {
    const input_mask = base64Of(maskPng(SIDE, SIDE, 64));
    const images = [
      await inpainted(),
      await inpaint({ input_mask, advanced_params: { inpaint_disable_initial_latent: true } }),
      await inpaint({
        input_mask,
        advanced_params: { inpaint_respective_field: 0.3 },
      }),
    ];
    expect(new Set(images.map(base64Of)).size).toBe(images.length);
  });

  it('black_out_nsfw blackens what is not safe for work, and nothing else', async () => {
    // Everything counts as unsafe at this threshold.
    await tab.host.updateSettings({ 'app.safety_threshold': 0 });
    const isBlack = (image: Uint8Array) => {
      const { width, height, channels, data } = decodePng(image);
      return Array.from({ length: width * height * channels }, (_, i) => i).every(
        (i) => i % channels === 3 || data[i] === 0,
      );
    };
    const checked = (black_out_nsfw: boolean) =>
      generate('image-upscale-vary', {
        uov_method: 'Upscale (Fast 2x)',
        advanced_params: { black_out_nsfw },
      });
    const varied = vary({ advanced_params: { black_out_nsfw: true, overwrite_vary_strength: 0.2 } });
    expect([await checked(true), await varied].map(isBlack)).toEqual([true, true]);
    expect(isBlack(await checked(false))).toBe(false);
    await tab.host.updateSettings({ 'app.safety_threshold': null });
    expect(await checked(true)).toEqual(await resized());
  });
});
