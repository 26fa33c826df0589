import { afterAll, beforeAll, expect, test } from 'vitest';
import { openAddOns } from '#engine/models/add-ons.ts';
import { openModel } from '#engine/models/model.ts';
import type { EngineWorker } from '#protocol/engine-worker.ts';
import type { GenerateJob, GraphOptions } from '#protocol/job.ts';
import type { AnyPack, ModelPack } from '#protocol/model.ts';
import { textToImage } from '../../../support/jobs.ts';
import { openNodeRuntime } from '../../../support/node-engine.ts';
import { compareImages } from '../../../support/images.ts';
import { pseudoRandom } from '../../../support/random-weights.ts';
import { relativeError } from '../../../support/relative-error.ts';
import { tinyModel } from '../../../support/tiny-control.ts';
import { engineFor, modelPack, generate, type FilledPack } from '../../../support/tiny-packs.ts';

const FREEU = { b1: 1.3, b2: 1.4, s1: 0.9, s2: 0.2, version: 2 } as const;

let model: FilledPack<ModelPack>;
let engine: EngineWorker;
const packs: FilledPack<AnyPack>[] = [];

beforeAll(async () => {
  model = await tinyModel();
  packs.push(model);
  engine = engineFor(packs);
});
afterAll(() => engine.unload());

const job = (graph: GraphOptions, height = 64): GenerateJob =>
  textToImage({ prompt: 'waves', seeds: [3n], width: 64, height, steps: 2, graph });

async function imageOf(graph: GraphOptions): Promise<Uint8Array> {
  const { pngs } = await generate(engine, model, job(graph));
  const [png] = pngs;
  if (!png) throw new Error('There is no image.');
  return png;
}

test.each([
  ['tiling', { tiling: true }],
  ['FreeU', { freeU: FREEU }],
  ['token merging', { tokenMerging: 0.5 }],
] as const)('%s changes the image, and is undone by not asking for it', async (_, graph) => {
  const plain = await imageOf({});
  const changed = await imageOf(graph);
  expect(compareImages(changed, plain).mean).toBeGreaterThan(0.01);
  expect(compareImages(await imageOf({}), plain).largest).toBe(0);
});

test('images of the UNet and the VAE that tile have no borders: moved over them they stay the same', async () => {
  const runtime = await openNodeRuntime();
  const opened = await openModel(model.pack, runtime, (path) => Promise.resolve(model.files[path]));
  const { unet, vaeDecoder } = await opened.load(
    { unet: { tiling: true } },
    openAddOns([], () => () => Promise.resolve(undefined)),
  );
  const latents = pseudoRandom(4 * 8 * 8, 5);
  const moved = (values: Float32Array, side: number, by: number) =>
    values.map((_, i) => {
      const [x, line] = [i % side, Math.floor(i / side)];
      return values[line * side + ((x + side - by) % side)] ?? NaN;
    });
  const inputs = {
    timestep: { type: 'float32', data: Float32Array.of(500), dims: [1] },
    encoder_hidden_states: { type: 'float32', data: pseudoRandom(77 * 32, 6), dims: [1, 77, 32] },
  } as const;
  const dims = [1, 4, 8, 8];
  const noiseOf = async (data: Float32Array) =>
    (await unet.run({ ...inputs, sample: { type: 'float32', data, dims } }))['out_sample']?.data;
  const [inputName = ''] = vaeDecoder.inputNames;
  const pixelsOf = async (data: Float32Array) =>
    Object.values(await vaeDecoder.run({ [inputName]: { type: 'float32', data, dims } }))[0]?.data;

  const noise = (await noiseOf(latents)) ?? new Float32Array();
  // The UNet halves its sides once.
  const movedNoise = (await noiseOf(moved(latents, 8, 2))) ?? new Float32Array();
  expect(relativeError(movedNoise, moved(noise, 8, 2))).toBeLessThan(1e-4);
  const pixels = (await pixelsOf(latents)) ?? new Float32Array();
  const movedPixels = (await pixelsOf(moved(latents, 8, 2))) ?? new Float32Array();
  expect(relativeError(movedPixels, moved(pixels, 64, 16))).toBeLessThan(1e-4);
  await runtime.close();
});

test('what needs graphs of one size runs at several sizes in turn', async () => {
  for (const height of [64, 128]) {
    const { images } = await generate(engine, model, job({ tokenMerging: 0.3, freeU: FREEU }, height));
    expect(images).toHaveLength(1);
  }
});

test('too much merging is refused, and all of it where graphs are finished', async () => {
  await expect(generate(engine, model, job({ tokenMerging: 0.9 }))).rejects.toMatchObject({
    code: 'invalid_request',
  });
  const finished = await modelPack(
    { 'unet/model.onnx': new Blob(['x']) },
    { id: 'finished', weights: 'onnx' },
  );
  packs.push(finished);
  for (const graph of [{ tiling: true }, { freeU: FREEU }, { tokenMerging: 0.5 }]) {
    await expect(generate(engine, finished, job(graph))).rejects.toMatchObject({
      code: 'unsupported_feature',
    });
  }
});
