import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodePng } from '#codecs/png.ts';
import { createEngine } from '#engine/engine.ts';
import { previewByMap } from '#engine/stages/denoise/preview.ts';
import { packs } from '#library/packs/index.ts';
import type { EngineWorker } from '#protocol/engine-worker.ts';
import { families } from '#protocol/families.ts';
import { INCLUDED } from '#protocol/included.ts';
import type { DetailStep, GenerateJob } from '#protocol/job.ts';
import { buildEmoji, readEmoji } from '../../../support/emoji-weights.ts';
import { pngOf } from '../../../support/images.ts';
import { imageInit } from '../../../support/inits.ts';
import { textToImage } from '../../../support/jobs.ts';
import { EMOJI_MINI, openNodeRuntime, readFrom } from '../../../support/node-engine.ts';
import { openGraph, type Session } from '../../../support/onnx-session.ts';
import { includedPacks } from '../../../support/vision-engine.ts';
import { watchRuns } from '../../../support/watch-runs.ts';

/** Levels of 255 that a preview's mean colours may be off. */
const TOLERANCE = 8;

function meanColours({ data, channels }: { data: ArrayLike<number>; channels: number }): number[] {
  const sums = [0, 0, 0];
  for (let i = 0; i < data.length; i += channels)
    for (let colour = 0; colour < 3; colour++) sums[colour] = (sums[colour] ?? 0) + (data[i + colour] ?? 0);
  return sums.map((sum) => sum / (data.length / channels));
}

test('the map shows the mean colours of the image that the VAE decodes', async () => {
  const image = decodePng(
    readFileSync(path.resolve(import.meta.dirname, '../../../fixtures/emoji-mini/euler.png')),
  );
  const area = image.width * image.height;
  const sample = Float32Array.from(
    { length: 3 * area },
    (_, i) => ((image.data[(i % area) * image.channels + Math.floor(i / area)] ?? 0) / 255) * 2 - 1,
  );
  const open = async (network: 'vae_encoder' | 'vae_decoder'): Promise<Session> => {
    const weights = await readEmoji(network, 'float32');
    return openGraph(buildEmoji(network, weights), weights, {});
  };
  const [encoder, decoder] = [await open('vae_encoder'), await open('vae_decoder')];
  const { latent_sample: latents } = await encoder.run({
    sample: { data: sample, shape: [1, 3, image.height, image.width] },
  });
  if (!latents) throw new Error('There are no latents.');
  const { sample: decoded } = await decoder.run({ latent_sample: latents });
  await encoder.release();
  await decoder.release();
  const [, , height = 0, width = 0] = latents.shape;
  const preview = previewByMap(families['emoji-mini'].previewMap, latents.data, { height, width });
  expect([preview.width, preview.height]).toEqual([image.width / 16, image.height / 16]);

  const planes = decoded?.data ?? new Float32Array();
  const pixels = Uint8ClampedArray.from(
    { length: 3 * area },
    (_, i) => ((planes[(i % 3) * area + Math.floor(i / 3)] ?? 0) / 2 + 0.5) * 255,
  );
  const expected = meanColours({ data: pixels, channels: 3 });
  meanColours(preview).forEach((mean, colour) => {
    expect(Math.abs(mean - (expected[colour] ?? 0))).toBeLessThan(TOLERANCE);
  });
});

describe('previews of a running job', () => {
  let engine: EngineWorker;
  /** The first input of every run, in order: which network it was. */
  const runs: string[] = [];
  beforeAll(() => {
    engine = createEngine(
      async () => watchRuns(await openNodeRuntime(), ({ inputNames }) => runs.push(inputNames[0] ?? '')),
      ({ id }) => readFrom(path.join(EMOJI_MINI, '..', id)),
    );
  });
  afterAll(() => engine.unload());

  const base = textToImage({ prompt: 'red apple', seeds: [5n], steps: 20 });

  async function previewsOf(changes: Partial<GenerateJob>) {
    const sides = new Set<number>();
    runs.length = 0;
    await engine.run([packs['emoji-mini'], ...includedPacks], { ...base, ...changes }, (event) => {
      if (event.type === 'preview') sides.add(event.preview.width);
    });
    return { sides: [...sides], decoded: runs.filter((input) => input === 'latent_sample').length };
  }

  test('come from the map: the VAE runs once, for the image', async () => {
    expect(await previewsOf({})).toEqual({ sides: [16], decoded: 1 });
  });

  test('come from the map where TAESD is asked for and none is installed', async () => {
    expect(await previewsOf({ previewBy: 'taesd' })).toEqual({ sides: [16], decoded: 1 });
  });

  test('come from the VAE where it is asked for', async () => {
    const { sides, decoded } = await previewsOf({ previewBy: 'vae' });
    expect(sides).toEqual([256]);
    expect(decoded).toBeGreaterThan(1);
  });

  /** All of an image again. */
  const detail: DetailStep = {
    kind: 'detail',
    finder: { kind: 'everything' },
    regions: { minScore: 0, minShare: 0, maxShare: 1, offset: { x: 0, y: 0 }, grow: 0, merge: 'none' },
    inpaint: {
      rules: 'a1111',
      fit: 'stretch',
      fill: 'original',
      blur: { x: 0, y: 0 },
      round: true,
      area: 'whole',
      overlay: false,
    },
    pass: { ...base.passes[0], steps: 6 },
    noise: base.noise,
    promptOptions: base.promptOptions,
    seedStep: 1,
    infotext: [],
  };
  const checker = {
    kind: 'safety',
    action: 'black',
    checker: INCLUDED.safetyChecker.id,
    threshold: 1,
  } as const;

  test('come from a detail step too', async () => {
    const init = imageInit([pngOf(256, 256, () => [200, 40, 30])]);
    expect(await previewsOf({ init, skipPasses: true, post: [detail] })).toMatchObject({ sides: [16] });
  });

  test('do not come from a job with a safety checker, neither of its passes nor of a detail step', async () => {
    const post = [detail, checker];
    expect(await previewsOf({ passes: [detail.pass], post })).toEqual({ sides: [], decoded: 2 });
  });
});
