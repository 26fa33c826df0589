import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApi, type Api } from '#api/index.ts';
import { fromBase64, toBase64 } from '#codecs/base64.ts';
import { decodePng, encodePng } from '#codecs/png.ts';
import { createEngine } from '#engine/engine.ts';
import { packs } from '#library/packs/index.ts';
import { startFakeLibrary } from '../../../support/fake-library.ts';
import { asThread, openHostAround, type HostTab } from '../../../support/host-around.ts';
import { jsonOf, post } from '../../../support/http.ts';
import { compareImages, meanColour } from '../../../support/images.ts';
import { EMOJI_MINI, openNodeRuntime, readFrom } from '../../../support/node-engine.ts';

/** The services on the built-in model, from request to image. */

const SIDE = 256;
const engine = createEngine(openNodeRuntime, ({ id }) => readFrom(path.join(EMOJI_MINI, '..', id)));
let tab: HostTab;
let api: Api;

beforeAll(async () => {
  const state = { stage: 'installed', installedAt: 0 } as const;
  tab = await openHostAround({
    startEngine: () => asThread(engine),
    library: startFakeLibrary({ packs: Object.values(packs).map((pack) => ({ pack, state })) }),
    settings: { 'modelslab.wait_seconds': 240 },
  });
  const { host } = tab;
  api = createApi({ connect: () => Promise.resolve({ host, ended: new Promise<void>(() => undefined) }) });
}, 120_000);

afterAll(async () => {
  tab.close();
  await engine.unload();
});

const flat = (colour: readonly number[], side = SIDE) =>
  encodePng({
    width: side,
    height: side,
    channels: 3,
    data: Uint8Array.from({ length: side * side * 3 }, (_, i) => colour[i % 3] ?? 0),
  });
/** White on the right. */
const mask = encodePng({
  width: SIDE,
  height: SIDE,
  channels: 3,
  data: Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, i) => (Math.floor(i / 3) % SIDE < 128 ? 0 : 255)),
});
const sky = flat([90, 160, 230]);

const request = {
  key: 'k',
  model_id: 'emoji-mini',
  prompt: 'green frog, cartoon style',
  width: SIDE,
  height: SIDE,
  num_inference_steps: 5,
  guidance_scale: 4,
  enhance_prompt: 'no',
  scheduler: 'EulerDiscreteScheduler',
  seed: 7,
};

async function modelslab(endpoint: string, body: object): Promise<Uint8Array> {
  const answer = await jsonOf<{ output: string[] }>(
    post(api, `/api/v1/enterprise/${endpoint}`, { ...request, ...body }),
  );
  expect(answer).toMatchObject({ status: 'success' });
  return fileAt(answer.output[0] ?? '');
}

async function itsrose(route: string, body: object): Promise<Uint8Array> {
  const answer = await jsonOf<{ result: { images: string[] } }>(
    post(api, `/sdapi/${route}`, { ...request, ...body }),
  );
  expect(answer).toMatchObject({ status: true });
  return fileAt(answer.result.images[0] ?? '');
}

async function fileAt(url: string): Promise<Uint8Array> {
  return new Uint8Array(await (await api.request(url)).arrayBuffer());
}

const isLeft = (x: number) => x < 0.5;
const init = { init_image: toBase64(sky) };

describe('image-to-image', () => {
  it('keeps more of the image, the lower the strength, in both services alike', async () => {
    const little = await modelslab('img2img', { ...init, strength: 0.2 });
    const much = await modelslab('img2img', { ...init, strength: 0.9 });
    expect(compareImages(little, sky).mean).toBeLessThan(compareImages(much, sky).mean);
    expect(await itsrose('img2img', { ...init, strength: 0.2, seed: '7' })).toEqual(little);
    // An image of one pixel is stretched like any other.
    const pixel = { init_image: toBase64(flat([90, 160, 230], 1)), strength: 0.2 };
    expect(compareImages(await modelslab('img2img', pixel), little).mean).toBeLessThan(1);
  });

  it('says when a strength leaves nothing to do', async () => {
    const body = { ...request, ...init, strength: 0.1 };
    const response = await post(api, '/api/v1/enterprise/img2img', body);
    expect([response.status, await response.text()]).toEqual([
      400,
      expect.stringContaining('Raise the strength or the steps.'),
    ]);
  });

  it('is SDCN’s too', async () => {
    const body = { ...request, ...init, steps: 20, denoising_strength: 0.1, sampler_name: 'Euler a' };
    const { images } = await jsonOf<{ images: string[] }>(post(api, '/img2img', body));
    const [red, green, blue] = meanColour(fromBase64(images[0] ?? ''), () => true);
    expect(blue).toBeGreaterThan(green);
    expect(green).toBeGreaterThan(red);
  });
});

describe('inpainting', () => {
  it('changes what is masked, and nothing else', async () => {
    const image = await modelslab('inpaint', { ...init, mask_image: toBase64(mask), strength: 1 });
    expect(meanColour(image, isLeft)).toEqual([90, 160, 230]);
    const { data, channels } = decodePng(image);
    const leftMost = Array.from({ length: SIDE }, (_, y) => [
      ...data.slice((y * SIDE + 127) * channels, (y * SIDE + 127) * channels + 3),
    ]);
    expect(new Set(leftMost.map(String))).toEqual(new Set(['90,160,230']));
    expect(compareImages(image, sky).mean).toBeGreaterThan(5);
    expect(await itsrose('inpaint', { ...init, mask_image: toBase64(mask), strength: 1, seed: '7' })).toEqual(
      image,
    );
  });
});

describe('switches of text-to-image', () => {
  it.each(['self_attention', 'highres_fix'])('%s changes the image, and leaves its size', async (name) => {
    const plain = await modelslab('text2img', {});
    const image = await modelslab('text2img', { [name]: 'yes' });
    expect(compareImages(image, plain).mean).toBeGreaterThan(0.5);
  });
});

describe('the safety checker', () => {
  const checked = async (threshold: number | null, body: object) => {
    await tab.host.updateSettings({ 'app.safety_threshold': threshold });
    const answer = await jsonOf<{ output: string[]; nsfw_content_detected: boolean }>(
      post(api, '/api/v1/enterprise/text2img', { ...request, num_inference_steps: 2, ...body }),
    );
    await tab.host.updateSettings({ 'app.safety_threshold': null });
    return { ...answer, image: await fileAt(answer.output[0] ?? '') };
  };

  it('lets harmless images pass, and says so', async () => {
    const { nsfw_content_detected: found, image } = await checked(null, { safety_checker: 'yes' });
    expect(found).toBe(false);
    expect(image).toEqual((await checked(null, { safety_checker: 'no' })).image);
  });

  it.each(['black', 'blur', 'pixelate', 'sensitive_content_text'])('hides others: %s', async (type) => {
    const plain = await checked(null, { safety_checker: 'no' });
    // Everything counts as unsafe at this threshold.
    const { nsfw_content_detected: found, image } = await checked(0, { safety_checker_type: type });
    expect(found).toBe(true);
    const { width, height, channels, data } = decodePng(image);
    expect([width, height]).toEqual([SIDE, SIDE]);
    const colours = new Set(
      Array.from({ length: SIDE * SIDE }, (_, i) => data.slice(i * channels, i * channels + 3).join()),
    );
    if (type === 'black') expect([...colours]).toEqual(['0,0,0']);
    if (type === 'sensitive_content_text') expect([...colours].sort()).toEqual(['0,0,0', '200,200,200']);
    if (type === 'pixelate') expect(colours.size).toBeLessThanOrEqual(16 * 16);
    expect(compareImages(image, plain.image).mean).toBeGreaterThan(2);
    const off = await checked(0, { safety_checker: 'no', safety_checker_type: type });
    expect([off.nsfw_content_detected, off.image]).toEqual([false, plain.image]);
  });

  it('checks an image that is sent', async () => {
    const check = async () =>
      jsonOf(post(api, '/api/v1/enterprise/nsfw_image_check', { key: 'k', init_image: toBase64(sky) }));
    expect(await check()).toEqual({ status: 'success', has_nsfw_concept: [false] });
    await tab.host.updateSettings({ 'app.safety_threshold': 0 });
    expect(await check()).toEqual({ status: 'success', has_nsfw_concept: [true] });
    expect((await tab.host.jobs()).filter(({ job }) => job.task === 'check-safety')).toEqual([]);
    await tab.host.updateSettings({ 'app.safety_threshold': null });
    const broken = { key: 'k', init_image: toBase64(new Uint8Array(10)) };
    const response = await post(api, '/api/v1/enterprise/nsfw_image_check', broken);
    expect(response.ok).toBe(false);
    expect(await response.json()).toMatchObject({ status: 'error' });
  });

  it('is itsrose’s too, by either of its names', async () => {
    await tab.host.updateSettings({ 'app.safety_threshold': 0 });
    const ask = (body: object) =>
      jsonOf<{ result: { nsfw_content_detected: boolean } }>(
        post(api, '/sdapi/txt2img', { ...request, num_inference_steps: 5, seed: '7', ...body }),
      );
    const answers = [
      await ask({ safety_checker: 'yes', safety_checker_type: 'black' }),
      await ask({ safety_checker: 'no', nsfw_filter: true }),
      await ask({ safety_checker: 'no' }),
    ];
    await tab.host.updateSettings({ 'app.safety_threshold': null });
    expect(answers.map(({ result }) => result.nsfw_content_detected)).toEqual([true, true, false]);
  });
});
