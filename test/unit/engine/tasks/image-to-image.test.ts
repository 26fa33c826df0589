import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodePng } from '#codecs/png.ts';
import { createEngine } from '#engine/engine.ts';
import { packs } from '#library/packs/index.ts';
import type { GenerateJob, Pass } from '#protocol/job.ts';
import { imageInit, maskedInit } from '../../../support/inits.ts';
import { textToImage, withPass } from '../../../support/jobs.ts';
import { EMOJI_MINI, openNodeRuntime, readFrom } from '../../../support/node-engine.ts';
import { compareImages, pngOf } from '../../../support/images.ts';
import { runToEnd } from '../../../support/tiny-packs.ts';
import { readReferenceImages } from '../../../support/reference-images.ts';

const engine = createEngine(openNodeRuntime, () => readFrom(EMOJI_MINI));
const pack = packs['emoji-mini'];

beforeAll(async () => {
  await engine.start('wasm');
  await engine.load(pack);
});
afterAll(() => engine.unload());

async function generate(job: GenerateJob) {
  const { images, pngs } = await runToEnd(engine, [pack], job);
  return images.map((image, i) => ({ ...image, png: pngs[i] ?? new Uint8Array() }));
}

async function pngOfJob(job: GenerateJob): Promise<Uint8Array> {
  const [image] = await generate(job);
  if (!image) throw new Error('There is no image.');
  return image.png;
}

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

const fromImage = (strength: number, image = new Blob([png])): GenerateJob => ({
  ...withPass(base(), { strength }),
  init: imageInit([image], { rules: 'diffusers' }),
});

const inpaint = (mask = RIGHT, changes: Partial<Pass> = {}): GenerateJob => ({
  ...withPass(base(), changes),
  init: maskedInit([new Blob([png])], mask, { rules: 'diffusers' }),
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
    const [light] = await generate(fromImage(0.2));
    if (!light) throw new Error('There is no image.');
    const little = compareImages(light.png, png);
    const much = compareImages(await pngOfJob(fromImage(1)), png);
    expect(little.mean).toBeLessThan(8);
    expect(much.mean).toBeGreaterThan(2 * little.mean);
    expect(light.infotext).toContain('Denoising strength: 0.2');
  });

  test('the same in a batch as alone', async () => {
    const { images } = base([5n, 1n]);
    const [, second] = await generate({ ...fromImage(0.4), images, batchSize: 2 });
    if (!second) throw new Error('There is no second image.');
    expect(compareImages(second.png, await pngOfJob(fromImage(0.4))).largest).toBeLessThanOrEqual(1);
  });

  test('each of a batch from an image of its own', async () => {
    const [red, blue] = [pngOf(SIDE, SIDE, () => [200, 30, 30]), pngOf(SIDE, SIDE, () => [30, 30, 200])];
    const job = fromImage(0.2);
    const { images } = base([1n, 2n, 1n]);
    const generated = await generate({
      ...job,
      images,
      batchSize: 2,
      init: imageInit([red, blue, blue]),
    });
    const strongest = generated.map(({ png }) => {
      const { data, channels } = decodePng(png);
      const sums = [0, 0, 0];
      for (const [i, value] of data.entries()) sums[i % channels] = (sums[i % channels] ?? 0) + value;
      return sums.indexOf(Math.max(...sums));
    });
    expect(strongest).toEqual([0, 2, 2]);
  });

  test('stretched to the size asked for', async () => {
    const tall = pngOf(20, 60, (_, y) => (y < 30 ? [200, 30, 30] : [30, 30, 200]));
    const size = { width: 320, height: 200 };
    const [image] = await generate(withPass(fromImage(0.2, tall), { size }));
    expect(image).toMatchObject(size);
    const { data, channels } = decodePng(image?.png ?? new Uint8Array());
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
    ['diffusers', base().passes[0].sampler],
    ['A1111', { family: 'k-diffusion', sampler: 'euler', schedule: 'automatic', options: {} }],
  ] as const)('what it does not cover stays, by the way of %s', async (_, sampler) => {
    const { images } = textToImage({ prompt: 'a blue fish', seeds: [3n] });
    const inpainted = await pngOfJob({ ...inpaint(RIGHT, { sampler }), images });
    // What the VAE itself changes.
    expect(differenceIn(inpainted, png, 0, 112)).toBeLessThan(2);
    expect(differenceIn(inpainted, png, 144, SIDE)).toBeGreaterThan(20);
  });

  test('leaves every pixel outside of it as it was, at a size that the model was not trained on', async () => {
    const size = { width: 320, height: 200 };
    const source = pngOf(320, 200, (x, y) => [(x * 7) % 256, (y * 11) % 256, (x + y) % 256]);
    const mask = pngOf(320, 200, (x) => (x < 200 ? [0, 0, 0] : [255, 255, 255]));
    const init = maskedInit([source], mask, { overlay: true });
    const made = decodePng(await pngOfJob({ ...withPass(base(), { size, strength: 0.8 }), init }));
    expect(made).toMatchObject(size);
    const own = decodePng(new Uint8Array(await source.arrayBuffer()));
    const differs = (x: number, y: number) =>
      [0, 1, 2].some((c) => made.data[(y * 320 + x) * 3 + c] !== own.data[(y * 320 + x) * own.channels + c]);
    const counts = { inside: 0, outside: 0 };
    for (let y = 0; y < 200; y++) {
      for (let x = 0; x < 320; x++) if (differs(x, y)) counts[x < 200 ? 'outside' : 'inside']++;
    }
    expect(counts.outside).toBe(0);
    expect(counts.inside).toBeGreaterThan(0.9 * 120 * 200);
  });

  test('that is transparent covers nothing', async () => {
    const nothing = await pngOfJob(inpaint(pngOf(SIDE, SIDE, () => [255, 255, 255, 0])));
    const black = await pngOfJob(inpaint(pngOf(SIDE, SIDE, () => [0, 0, 0])));
    expect(nothing).toEqual(black);
  });
});

describe('what is wrong is said before anything is generated', () => {
  const broken = new Blob([png.slice(0, 100)]);

  test.each([
    ['a broken image', fromImage(0.5, broken), 'invalid_request'],
    ['a broken mask', inpaint(broken), 'invalid_request'],
    ['a format that only browsers know', fromImage(0.5, new Blob(['GIF89a'])), 'invalid_request'],
    ['a strength above 1', fromImage(1.5), 'invalid_request'],
    ['a strength that leaves no step', fromImage(0.1), 'invalid_request'],
  ])('%s', async (_, job, code) => {
    await expect(generate(job)).rejects.toMatchObject({ code });
  });
});
