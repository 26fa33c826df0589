import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packs } from '#library/packs/index.ts';
import type { EngineWorker } from '#protocol/engine-worker.ts';
import type { GenerateJob } from '#protocol/job.ts';
import type { AddOnPack, ModelPack } from '#protocol/model.ts';
import { dequantiseTensors } from '#weights/quantise.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import { buildEmoji, readEmoji } from '../../../support/emoji-weights.ts';
import { compareImages } from '../../../support/images.ts';
import { textToImage } from '../../../support/jobs.ts';
import { randomLora } from '../../../support/loras.ts';
import { EMOJI_MINI } from '../../../support/node-engine.ts';
import { pseudoRandom, tensorsOf } from '../../../support/random-weights.ts';
import { addOnPack, engineFor, fileOf, generate, type FilledPack } from '../../../support/tiny-packs.ts';

/* The built-in model is an ordinary one: what changes others changes it. */

let engine: EngineWorker;
let model: FilledPack<ModelPack>;
let lora: FilledPack<AddOnPack>;
let vae: FilledPack<AddOnPack>;
let embedding: FilledPack<AddOnPack>;

beforeAll(async () => {
  const read = (file: string) => new Blob([readFileSync(path.join(EMOJI_MINI, file))]);
  const pack = packs['emoji-mini'];
  model = { pack, files: Object.fromEntries(pack.files.map((file) => [file.path, read(file.path)])) };
  const weights = await readEmoji('unet', 'float32');
  const family = 'emoji-mini';
  const change = randomLora(buildEmoji('unet', weights, { loraInputs: true }), 1);
  lora = await addOnPack('lora', 'noisy', await fileOf(change), { family });
  // The model's own VAE with another idea of how far latents spread.
  const own = dequantiseTensors(await openSafetensors(read('vae/model.safetensors'), 'vae'));
  const stretched = {
    ...own,
    read: async (name: string) =>
      name === 'latents.std' ? new Uint8Array(Float32Array.of(2).buffer) : own.read(name),
  };
  vae = await addOnPack('vae', 'stretched', await fileOf(stretched), { family });
  const word = tensorsOf({ emb_params: { shape: [2, 256], data: pseudoRandom(2 * 256) } });
  embedding = await addOnPack('embedding', 'my-word', await fileOf(word), { family });
  engine = engineFor([model, lora, vae, embedding]);
});
afterAll(() => engine.unload());

async function imageOf(job: GenerateJob): Promise<Uint8Array> {
  const { pngs, notes } = await generate(engine, model, job, [lora, vae, embedding]);
  expect(notes).toEqual([]);
  return pngs[0] ?? new Uint8Array();
}

const plain = textToImage({ prompt: 'red apple my-word', seeds: [5n], steps: 2 });
const withPass = (changes: Partial<GenerateJob['passes'][0]>): GenerateJob => ({
  ...plain,
  passes: [{ ...plain.passes[0], ...changes }],
});
test('what is asked for changes its images, and they come back without it', async () => {
  const before = await imageOf(plain);
  const changed: Readonly<Record<string, GenerateJob>> = {
    tiling: withPass({ graph: { tiling: true } }),
    FreeU: withPass({ graph: { freeU: { b1: 1.3, b2: 1.4, s1: 0.9, s2: 0.2, version: 2 } } }),
    'a LoRA': { ...plain, loras: [{ id: 'noisy', strength: 1 }] },
    'a VAE': withPass({ vae: 'stretched' }),
    'clip skip': { ...plain, promptOptions: { ...plain.promptOptions, clipSkip: 2 } },
    'a word that was added': { ...plain, promptOptions: { ...plain.promptOptions, embeddings: ['my-word'] } },
  };
  for (const [what, job] of Object.entries(changed))
    expect(compareImages(await imageOf(job), before).mean, what).toBeGreaterThan(0.1);
  expect(compareImages(await imageOf(plain), before).largest).toBe(0);
});

test('a UNet of it may take the pooled prompt and the sizes as SDXL’s does, and the last layer all the same', async () => {
  const config = {
    ...(JSON.parse(readFileSync(path.join(EMOJI_MINI, 'unet/config.json'), 'utf8')) as object),
    addition_embed_type: 'text_time',
    addition_time_embed_dim: 32,
    projection_class_embeddings_input_dim: 448,
  };
  const unet = await readEmoji('unet', 'int8');
  /** @param last the second layer of the new embedding: zeros add nothing */
  const extended = async (id: string, last: Float32Array<ArrayBuffer>): Promise<FilledPack<ModelPack>> => {
    const added = tensorsOf({
      'add_embedding.linear_1.weight': { shape: [384, 448], data: pseudoRandom(384 * 448) },
      'add_embedding.linear_1.bias': { shape: [384], data: pseudoRandom(384) },
      'add_embedding.linear_2.weight': { shape: [384, 384], data: last },
      'add_embedding.linear_2.bias': { shape: [384], data: new Float32Array(384) },
    });
    const both: TensorSource = {
      names: () => [...unet.names(), ...added.names()],
      info: (name) => added.info(name) ?? unet.info(name),
      read: (name) => (added.info(name) ? added : unet).read(name),
    };
    const files = {
      ...model.files,
      'unet/config.json': new Blob([JSON.stringify(config)]),
      'unet/model.safetensors': await fileOf(both),
    };
    return { pack: { ...model.pack, id }, files };
  };
  const before = await imageOf(plain);
  const size = 384 * 384;
  const models = [
    await extended('unchanged', new Float32Array(size)),
    await extended('changed', pseudoRandom(size)),
  ];
  const others = engineFor([...models, embedding]);
  const differences = await Promise.all(
    models.map(async (other) => {
      const job = textToImage({ prompt: 'red apple my-word', seeds: [5n], steps: 2, model: other.pack.id });
      const { pngs } = await generate(others, other, job, [embedding]);
      return compareImages(pngs[0] ?? new Uint8Array(), before).mean;
    }),
  );
  await others.unload();
  expect(differences[0]).toBe(0);
  expect(differences[1]).toBeGreaterThan(0.1);
});
