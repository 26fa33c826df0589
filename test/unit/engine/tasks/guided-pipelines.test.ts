import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { decodePng } from '#codecs/png.ts';
import type { Model } from '#engine/models/model.ts';
import { AppError } from '#protocol/error.ts';
import type { Pass } from '#protocol/job.ts';
import { comparePanoramas, compareSelfAttention } from '../../../parity/images/diffusers-windows.ts';
import { openReferences } from '../../../parity/images/image-kind.ts';
import { generateOne } from '../../../parity/generated.ts';
import { textToImage } from '../../../support/jobs.ts';
import { openNodeRuntime } from '../../../support/node-engine.ts';
import { runOpened } from '../../../support/run-opened.ts';
import { openTinyPipeline } from '../../../support/tiny-pipeline.ts';
import { tinyModel } from '../../../support/tiny-control.ts';
import { engineFor, generate } from '../../../support/tiny-packs.ts';

const FIXTURES = path.resolve(import.meta.dirname, '../../../fixtures');

test.each([
  ['self-attention guidance', 'diffusers-sag', compareSelfAttention, 8],
  ['a panorama, also a circular one', 'diffusers-panorama', comparePanoramas, 5],
] as const)('%s is that of diffusers', async (_, kind, compare, lines) => {
  let count = 0;
  for await (const { name, error, tolerance, note } of compare(openReferences(FIXTURES, kind))) {
    expect(error, `${name} ${note ?? ''}`).toBeLessThanOrEqual(tolerance);
    count++;
  }
  expect(count).toBe(lines);
});

test('a panorama reaches to its ends also where no window ends there, and goes with the options of graphs', async () => {
  const model = await tinyModel();
  const engine = engineFor([model]);
  const job = textToImage({
    prompt: 'hills',
    seeds: [1n],
    steps: 2,
    width: 600,
    height: 64,
    panorama: { circular: false },
    graph: { tokenMerging: 0.5 },
  });
  const { images, pngs } = await generate(engine, model, job);
  expect(images).toMatchObject([{ width: 600, height: 64 }]);
  const { data, channels } = decodePng(pngs[0] ?? new Uint8Array());
  const lastColumns = Array.from({ length: 64 }, (_, y) => data[(y * 600 + 599) * channels] ?? 0);
  expect(new Set(lastColumns).size).toBeGreaterThan(8);
  await engine.unload();
});

describe('tiles', async () => {
  const runtime = await openNodeRuntime();
  const model = await openTinyPipeline(runtime, FIXTURES);
  afterAll(async () => {
    await model.release();
    await runtime.close();
  });

  const jobOf = (pass: Partial<Pass> & { width: number; height: number }) =>
    textToImage({ prompt: 'hills', seeds: [1n], steps: 3, ...pass });
  const latentsOf = async (pass: Parameters<typeof jobOf>[0], of = model) =>
    (await generateOne(runtime, of, jobOf(pass))).latents;
  const difference = (one: Float32Array, other: Float32Array) =>
    one.reduce((largest, value, i) => Math.max(largest, Math.abs(value - (other[i] ?? NaN))), 0);

  /** The same model on a machine whose memory holds a UNet's run on so many latent cells. */
  const inLittleMemory = (most: number): Model => ({
    ...model,
    async load(changes, installed) {
      const loaded = await model.load(changes, installed);
      return {
        ...loaded,
        unet: {
          ...loaded.unet,
          run(inputs) {
            const [rows = 0, , height = 0, width = 0] = inputs['sample']?.dims ?? [];
            if (rows * height * width > most) throw new AppError('out_of_memory', 'Too large.');
            return loaded.unet.run(inputs);
          },
        },
      };
    },
  });

  test('as large as the image are the plain run', async () => {
    const plain = await latentsOf({ width: 96, height: 64 });
    expect(await latentsOf({ width: 96, height: 64, tiles: { size: 96, overlap: 32 } })).toEqual(plain);
    // Tiles that do not show everything to each other end in another image.
    const tiled = await latentsOf({ width: 96, height: 64, tiles: { size: 64, overlap: 32 } });
    expect(difference(tiled, plain)).toBeGreaterThan(1e-3);
  });

  test('of the windows of a panorama are one', async () => {
    const size = { width: 584, height: 64 };
    const panorama = await latentsOf({ ...size, panorama: { circular: false } });
    expect(await latentsOf({ ...size, tiles: { size: 512, overlap: 448 } })).toEqual(panorama);
  });

  test('are what a run goes on in whose memory gives out, which is noted', async () => {
    const [side = 0] = model.pack.trainedSizes[0] ?? [];
    const size = { width: 2 * side, height: side };
    const little = inLittleMemory((side / 8) ** 2);
    const tiled = await latentsOf({ ...size, tiles: { size: side, overlap: side / 4 } });
    expect(difference(await latentsOf(size, little), tiled)).toBeLessThan(1e-5);
    const { notes } = await runOpened(runtime, little, jobOf(size), () => undefined);
    expect(notes).toEqual([expect.stringContaining('denoised in tiles')]);
  });

  test('that would not advance are refused', async () => {
    const stuck = latentsOf({ width: 96, height: 64, tiles: { size: 64, overlap: 64 } });
    await expect(stuck).rejects.toMatchObject({ code: 'invalid_request' });
  });
});
