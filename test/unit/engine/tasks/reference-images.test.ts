import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEngine } from '#engine/engine.ts';
import { packs } from '#library/packs/index.ts';
import { textToImage } from '../../../support/jobs.ts';
import { EMOJI_MINI, openNodeRuntime, readFrom } from '../../../support/node-engine.ts';
import { compareImages } from '../../../support/images.ts';
import { runToEnd } from '../../../support/tiny-packs.ts';
import { readReferenceImages, SAME_IMAGE } from '../../../support/reference-images.ts';

const engine = createEngine(openNodeRuntime, () => readFrom(EMOJI_MINI));
const pack = packs['emoji-mini'];

beforeAll(async () => {
  await engine.start('wasm');
  await engine.load(pack);
});
afterAll(() => engine.unload());

const generate = (job: Parameters<typeof textToImage>[0]) => runToEnd(engine, [pack], textToImage(job));

describe('the built-in model generates what diffusers generates', () => {
  test.for(readReferenceImages())('$name', async (reference) => {
    const { pngs } = await generate({
      prompt: reference.prompt,
      negativePrompt: reference.negative_prompt,
      steps: reference.num_inference_steps,
      guidanceScale: reference.guidance_scale,
      seeds: [BigInt(reference.seed)],
      sampler: { family: 'diffusers', scheduler: reference.scheduler, config: {} },
    });
    const { mean, outliers } = compareImages(pngs[0] ?? new Uint8Array(), reference.png);
    expect(mean).toBeLessThanOrEqual(SAME_IMAGE.mean);
    expect(outliers).toBeLessThanOrEqual(SAME_IMAGE.outliers);
  });
});

test('the same request and seed give the same bytes, alone and in a batch', async () => {
  const one = { prompt: 'purple octopus', steps: 3, seeds: [2n] };
  const [alone] = (await generate(one)).pngs;
  const { images, pngs } = await generate({ ...one, seeds: [1n, 2n], batchSize: 2 });
  expect(images.map(({ index }) => index)).toEqual([0, 1]);
  if (!alone || !pngs[1]) throw new Error('There is no image.');
  expect(compareImages(pngs[1], alone).largest).toBeLessThanOrEqual(1);
  expect((await generate(one)).pngs[0]).toEqual(alone);
});

test('a model of trained sizes generates others at the nearest it knows, resizes them to exactly what was asked, and says so', async () => {
  const { images } = await generate({ prompt: 'pizza', steps: 2, seeds: [3n], width: 1152, height: 896 });
  const [image] = images;
  expect(image).toMatchObject({ width: 1152, height: 896 });
  expect(image?.infotext).toContain('Size: 1152x896');
  expect(image?.infotext).toContain('Generated at: 256x192, Resized with: Lanczos');
});
