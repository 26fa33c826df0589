import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEngine } from '#engine/engine.ts';
import { packs } from '#library/packs/index.ts';
import type { Picture } from '#protocol/job.ts';
import { textToImage } from '../../../support/jobs.ts';
import { EMOJI_MINI, openNodeRuntime, readFrom } from '../../../support/node-engine.ts';
import { comparePictures } from '../../../support/pictures.ts';
import { readReferencePictures, SAME_PICTURE } from '../../../support/reference-pictures.ts';

const engine = createEngine(openNodeRuntime, () => readFrom(EMOJI_MINI));
const pack = packs['emoji-mini'];

beforeAll(async () => {
  await engine.start('wasm');
  await engine.load(pack);
});
afterAll(() => engine.unload());

async function draw(job: Parameters<typeof textToImage>[0]): Promise<Picture[]> {
  const pictures: Picture[] = [];
  await engine.run(pack, [], textToImage(job), (event) => {
    if (event.type === 'picture') pictures.push(event.picture);
  });
  return pictures;
}

async function bytesOf(picture: Picture | undefined): Promise<Uint8Array> {
  return new Uint8Array((await picture?.blob.arrayBuffer()) ?? []);
}

describe('the built-in model draws what diffusers draws', () => {
  test.for(readReferencePictures())('$name', async (reference) => {
    const [picture] = await draw({
      prompt: reference.prompt,
      negativePrompt: reference.negative_prompt,
      steps: reference.num_inference_steps,
      guidanceScale: reference.guidance_scale,
      seeds: [BigInt(reference.seed)],
      sampler: { family: 'diffusers', scheduler: reference.scheduler, config: {} },
    });
    const { mean, outliers } = comparePictures(await bytesOf(picture), reference.png);
    expect(mean).toBeLessThanOrEqual(SAME_PICTURE.mean);
    expect(outliers).toBeLessThanOrEqual(SAME_PICTURE.outliers);
  });
});

test('the same request and seed give the same bytes, alone and in a batch', async () => {
  const [alone] = await draw({ prompt: 'purple octopus', steps: 3, seeds: [2n] });
  const batch = await draw({ prompt: 'purple octopus', steps: 3, seeds: [1n, 2n], batchSize: 2 });
  expect(batch.map(({ index }) => index)).toEqual([0, 1]);
  expect(comparePictures(await bytesOf(batch[1]), await bytesOf(alone)).largest).toBeLessThanOrEqual(1);
  const [again] = await draw({ prompt: 'purple octopus', steps: 3, seeds: [2n] });
  expect(await bytesOf(again)).toEqual(await bytesOf(alone));
});

test('a size beyond the trained one is drawn smaller, enlarged to exactly what was asked, and says so', async () => {
  const [picture] = await draw({ prompt: 'pizza', steps: 2, seeds: [3n], width: 1152, height: 896 });
  expect(picture).toMatchObject({ width: 1152, height: 896 });
  expect(picture?.infotext).toContain('Size: 1152x896');
  expect(picture?.infotext).toContain('Drawn at: 256x192, Resized with: Lanczos');
});
