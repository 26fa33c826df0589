import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodePng } from '#codecs/png.ts';
import { createEngine } from '#engine/engine.ts';
import { packs } from '#library/packs/index.ts';
import type { ImageToImageJob, InpaintJob, Job, GeneratedImage } from '#protocol/job.ts';
import { textToImage } from '../../../support/jobs.ts';
import { EMOJI_MINI, openNodeRuntime, readFrom } from '../../../support/node-engine.ts';
import { compareImages, pngOf } from '../../../support/images.ts';
import { readReferenceImages } from '../../../support/reference-images.ts';

const engine = createEngine(openNodeRuntime, () => readFrom(EMOJI_MINI));
const pack = packs['emoji-mini'];

beforeAll(async () => {
  await engine.start('wasm');
  await engine.load(pack);
});
afterAll(() => engine.unload());

async function draw(job: Job): Promise<GeneratedImage[]> {
  const images: GeneratedImage[] = [];
  await engine.run(pack, [], job, (event) => {
    if (event.type === 'image') images.push(event.image);
  });
  return images;
}

const bytesOf = async (image: GeneratedImage | undefined) =>
  new Uint8Array((await image?.blob.arrayBuffer()) ?? []);

const reference = readReferenceImages().find(({ name }) => name === 'euler');
if (!reference) throw new Error('The reference image is missing.');
const { prompt } = reference;
const png = new Uint8Array(reference.png);

const SIDE = 256;

/** The right half of the image. */
const RIGHT = pngOf(SIDE, SIDE, (x) => (x < SIDE / 2 ? [0, 0, 0] : [255, 255, 255]));

const base = (seeds: readonly bigint[] = [1n]) =>
  textToImage({
    prompt,
    seeds,
    steps: 5,
    sampler: { family: 'diffusers', scheduler: 'DDIMScheduler', config: {} },
  });

const repaint = (strength: number, image = new Blob([png])): ImageToImageJob => ({
  ...base(),
  task: 'img2img',
  init: { image, strength },
});

const inpaint = (changes: Partial<InpaintJob> = {}): InpaintJob => ({
  ...base(),
  task: 'inpaint',
  init: { image: new Blob([png]), strength: 1 },
  mask: RIGHT,
  ...changes,
});

/** Mean difference of the pixels in a part of the width. */
function differenceIn(first: Uint8Array, second: Uint8Array, from: number, to: number): number {
  const [a, b] = [decodePng(first), decodePng(second)];
  let sum = 0;
  let count = 0;
  for (let pixel = 0; pixel < SIDE * SIDE; pixel++) {
    if (pixel % SIDE < from || pixel % SIDE >= to) continue;
    for (let channel = 0; channel < 3; channel++, count++) {
      sum += Math.abs(
        (a.data[pixel * a.channels + channel] ?? 0) - (b.data[pixel * b.channels + channel] ?? 0),
      );
    }
  }
  return sum / count;
}

describe('the built-in model generates from an image', () => {
  test('the less, the lower the strength, and tells it', async () => {
    const [light] = await draw(repaint(0.2));
    const [strong] = await draw(repaint(1));
    const [little, much] = [
      compareImages(await bytesOf(light), png),
      compareImages(await bytesOf(strong), png),
    ];
    expect(little.mean).toBeLessThan(8);
    expect(much.mean).toBeGreaterThan(2 * little.mean);
    expect(light?.infotext).toContain('Denoising strength: 0.2');
  });

  test('the same in a batch as alone', async () => {
    const [, second] = await draw({
      ...repaint(0.4),
      ...{ images: base([5n, 1n]).images },
      batchSize: 2,
    });
    const [alone] = await draw(repaint(0.4));
    expect(compareImages(await bytesOf(second), await bytesOf(alone)).largest).toBeLessThanOrEqual(1);
  });

  test('stretched to the size asked for', async () => {
    const tall = pngOf(20, 60, (_, y) => (y < 30 ? [200, 30, 30] : [30, 30, 200]));
    const [image] = await draw({ ...repaint(0.2, tall), width: 320, height: 200 });
    expect(image).toMatchObject({ width: 320, height: 200 });
    const { data, channels } = decodePng(await bytesOf(image));
    for (const [x, y, strongest] of [
      [5, 40, 0],
      [315, 40, 0],
      [5, 160, 2],
      [315, 160, 2],
    ] as const) {
      const colour = [...data.subarray((y * 320 + x) * channels, (y * 320 + x) * channels + 3)];
      expect(colour.indexOf(Math.max(...colour)), `${x}, ${y}: ${colour.join()}`).toBe(strongest);
    }
  });
});

describe('a mask', () => {
  test.each([
    ['diffusers', base().sampler],
    ['A1111', { family: 'k-diffusion', sampler: 'euler', schedule: 'automatic', options: {} }],
  ] as const)('what it does not cover stays, by the way of %s', async (_, sampler) => {
    const { images } = textToImage({ prompt: 'a blue fish', seeds: [3n] });
    const drawn = await bytesOf((await draw(inpaint({ sampler, images })))[0]);
    // What the VAE itself changes.
    expect(differenceIn(drawn, png, 0, 112)).toBeLessThan(2);
    expect(differenceIn(drawn, png, 144, SIDE)).toBeGreaterThan(20);
  });

  test('that is transparent covers nothing', async () => {
    const [nothing] = await draw(inpaint({ mask: pngOf(SIDE, SIDE, () => [255, 255, 255, 0]) }));
    const [black] = await draw(inpaint({ mask: pngOf(SIDE, SIDE, () => [0, 0, 0]) }));
    expect(await bytesOf(nothing)).toEqual(await bytesOf(black));
  });
});

describe('what is wrong is told before anything is drawn', () => {
  const broken = new Blob([png.slice(0, 100)]);

  test.each([
    ['a broken image', repaint(0.5, broken), 'invalid_request'],
    ['a broken mask', inpaint({ mask: broken }), 'invalid_request'],
    ['a format that only browsers know', repaint(0.5, new Blob(['GIF89a'])), 'unsupported_feature'],
    ['a strength above 1', repaint(1.5), 'invalid_request'],
    ['a strength that leaves no step', repaint(0.1), 'invalid_request'],
  ])('%s', async (_, job, code) => {
    await expect(draw(job)).rejects.toMatchObject({ code });
  });
});
