import { proxy, wrap, type Remote } from 'comlink';
import { afterAll, expect, test } from 'vitest';
import EngineThread from '#engine/engine.worker.ts?worker';
import type { BackendChoice, EngineWorker } from '#protocol/engine-worker.ts';
import type { ConfigFile, ModelPack, PackFile } from '#protocol/model.ts';
import { writeSafetensors } from '#weights/safetensors-source.ts';
import { openModelFiles } from '#storage/model-files.ts';
import { textToImage } from '../../support/jobs.ts';
import { compareImages } from '../../support/images.ts';
import { clipConfig, tinyClip } from '../../support/tiny-clip.ts';
import { tinyCheckpoint } from '../../support/tiny-checkpoint.ts';
import cat from '../../fixtures/tiny-checkpoint/cat.png?url';
import merges from '../../fixtures/clip-tokenizer/merges.txt?url';
import unetConfig from '../../fixtures/models/unet-sd1/config.json';
import unetWeights from '../../fixtures/models/unet-sd1/diffusion_pytorch_model.safetensors?url';
import vaeConfig from '../../fixtures/models/autoencoder-kl/config.json';
import vaeWeights from '../../fixtures/models/autoencoder-kl/diffusion_pytorch_model.safetensors?url';
import vocabulary from '../../fixtures/clip-tokenizer/vocab.json?url';

/** Where downloads are cut, so that tensors lie across the seams. */
const PIECE_BYTES = 7_000_001;

const fetchBlob = async (url: string) => (await fetch(url)).blob();

const SCHEDULER_CONFIG = {
  _class_name: 'PNDMScheduler',
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  num_train_timesteps: 1000,
  steps_offset: 1,
};

const files = openModelFiles();
const ids: string[] = [];
afterAll(async () => {
  for (const id of ids) await files.removeModel(id);
});

/** Stores a model as the library does, in pieces. */
async function store(
  id: string,
  blobs: Readonly<Record<string, Blob>>,
  configs: Readonly<Record<string, ConfigFile>> = {},
): Promise<ModelPack> {
  ids.push(id);
  const listed: PackFile[] = [];
  const all = {
    ...blobs,
    'tokenizer/vocab.json': await fetchBlob(vocabulary),
    'tokenizer/merges.txt': await fetchBlob(merges),
  };
  for (const [path, blob] of Object.entries(all)) {
    const file = { path, sizeBytes: blob.size, sha256: null };
    let stored = await files.begin(id, file);
    for (let from = 0; from < blob.size; from += PIECE_BYTES) {
      stored = await files.append(id, path, stored, blob.slice(from, from + PIECE_BYTES));
    }
    await files.seal(id, path, stored);
    listed.push(file);
  }
  return {
    id,
    title: id,
    description: '',
    url: null,
    licence: { name: 'unknown' },
    credits: '',
    kind: 'model',
    family: 'sd1',
    weights: 'safetensors',
    files: listed,
    configs: { 'scheduler/scheduler_config.json': SCHEDULER_CONFIG, ...configs },
    trainedSizes: [[64, 64]],
    sizing: 'exact',
    latent: { channels: 4, downscale: 8, sizeMultiple: 64, scalingFactor: 0.18215 },
    defaults: { width: 64, height: 64, steps: 2, guidanceScale: 4, sampler: 'Euler', schedule: 'Automatic' },
  };
}

const threads: Worker[] = [];
afterAll(() => {
  for (const thread of threads) thread.terminate();
});

/** Generates with the engine's own worker. */
async function generate(pack: ModelPack, choice: BackendChoice): Promise<Uint8Array> {
  const thread = new EngineThread();
  threads.push(thread);
  const engine: Remote<EngineWorker> = wrap<EngineWorker>(thread);
  expect((await engine.start(choice)).provider).toBe(choice);
  let image: Blob | undefined;
  const job = textToImage({ model: pack.id, prompt: 'a cat', seeds: [7n], width: 64, height: 64, steps: 2 });
  await engine.run(
    [pack],
    job,
    proxy((event) => {
      if (event.type === 'artifact') image = event.file;
    }),
  );
  thread.terminate();
  if (!image) throw new Error('The run ended before its image arrived.');
  return new Uint8Array(await image.arrayBuffer());
}

test('a checkpoint in IndexedDB generates on wasm what it generates in Node', async () => {
  const pack = await store('tiny-checkpoint', { 'checkpoint.safetensors': await tinyCheckpoint() });
  const expected = new Uint8Array(await (await fetchBlob(cat)).arrayBuffer());
  expect(compareImages(await generate(pack, 'wasm'), expected).largest).toBeLessThanOrEqual(1);
}, 300_000);

test('networks in folders generate on WebGPU what they generate on wasm', async () => {
  const clip = { width: 32, layers: 2 };
  const parts: BlobPart[] = [];
  for await (const part of writeSafetensors(tinyClip(clip))) parts.push(part);
  const networks = {
    'unet/model.safetensors': await fetchBlob(unetWeights),
    'vae/model.safetensors': await fetchBlob(vaeWeights),
    'text_encoder/model.safetensors': new Blob(parts),
  };
  const pack = await store('tiny-folders', networks, {
    'unet/config.json': unetConfig,
    'vae/config.json': vaeConfig,
    'text_encoder/config.json': clipConfig(clip),
  });
  const [gpu, cpu] = [await generate(pack, 'webgpu'), await generate(pack, 'wasm')];
  expect(compareImages(gpu, cpu).largest).toBeLessThanOrEqual(1);
  const other = await generate({ ...pack, latent: { ...pack.latent, scalingFactor: 0.2 } }, 'wasm');
  expect(compareImages(other, cpu).mean).toBeGreaterThan(0.5);
}, 300_000);
