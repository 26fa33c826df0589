import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEngine } from '#engine/engine.ts';
import { packs } from '#library/packs/index.ts';
import type { GeneratedImage } from '#protocol/job.ts';
import { textToImage } from '../../../support/jobs.ts';
import { EMOJI_MINI, openNodeRuntime, readFrom } from '../../../support/node-engine.ts';
import { compareImages } from '../../../support/images.ts';
import { readReferenceImages, SAME_IMAGE } from '../../../support/reference-images.ts';

const engine = createEngine(openNodeRuntime, () => readFrom(EMOJI_MINI));
const pack = packs['emoji-mini'];

beforeAll(async () => {
  await engine.start('wasm');
  await engine.load(pack);
});
afterAll(() => engine.unload());

async function draw(job: Parameters<typeof textToImage>[0]): Promise<GeneratedImage[]> {
  const images: GeneratedImage[] = [];
  await engine.run(pack, [], textToImage(job), (event) => {
    if (event.type === 'image') images.push(event.image);
  });
  return images;
}

async function bytesOf(image: GeneratedImage | undefined): Promise<Uint8Array> {
  return new Uint8Array((await image?.blob.arrayBuffer()) ?? []);
}

describe('the built-in model draws what diffusers draws', () => {
  test.for(readReferenceImages())('$name', async (reference) => {
    const [image] = await draw({
      prompt: reference.prompt,
      negativePrompt: reference.negative_prompt,
      steps: reference.num_inference_steps,
      guidanceScale: reference.guidance_scale,
      seeds: [BigInt(reference.seed)],
      sampler: { family: 'diffusers', scheduler: reference.scheduler, config: {} },
    });
    const { mean, outliers } = compareImages(await bytesOf(image), reference.png);
    expect(mean).toBeLessThanOrEqual(SAME_IMAGE.mean);
    expect(outliers).toBeLessThanOrEqual(SAME_IMAGE.outliers);
  });
});

test('the same request and seed give the same bytes, alone and in a batch', async () => {
  const [alone] = await draw({ prompt: 'purple octopus', steps: 3, seeds: [2n] });
  const batch = await draw({ prompt: 'purple octopus', steps: 3, seeds: [1n, 2n], batchSize: 2 });
  expect(batch.map(({ index }) => index)).toEqual([0, 1]);
  expect(compareImages(await bytesOf(batch[1]), await bytesOf(alone)).largest).toBeLessThanOrEqual(1);
  const [again] = await draw({ prompt: 'purple octopus', steps: 3, seeds: [2n] });
  expect(await bytesOf(again)).toEqual(await bytesOf(alone));
});

test('a size beyond the trained one is drawn smaller, upscaled to exactly what was asked, and says so', async () => {
  const [image] = await draw({ prompt: 'pizza', steps: 2, seeds: [3n], width: 1152, height: 896 });
  expect(image).toMatchObject({ width: 1152, height: 896 });
  expect(image?.infotext).toContain('Size: 1152x896');
  expect(image?.infotext).toContain('Drawn at: 256x192, Resized with: Lanczos');
});
