import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEngine } from '#engine/engine.ts';
import type { Session, TensorValue } from '#engine/runtime/runtime.ts';
import { packs } from '#library/packs/index.ts';
import type { EngineWorker } from '#protocol/engine-worker.ts';
import type { GenerateJob } from '#protocol/job.ts';
import type { AddOnPack, ModelPack } from '#protocol/model.ts';
import { dequantiseTensors } from '#weights/quantise.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import { buildEmoji, readEmoji } from '../../../support/emoji-weights.ts';
import { compareImages } from '../../../support/images.ts';
import { textToImage } from '../../../support/jobs.ts';
import { randomLora } from '../../../support/loras.ts';
import { EMOJI_MINI, openNodeRuntime } from '../../../support/node-engine.ts';
import { pseudoRandom, tensorsOf } from '../../../support/random-weights.ts';
import { relativeError } from '../../../support/relative-error.ts';
import {
  addOnPack,
  engineFor,
  fileOf,
  generate,
  runToEnd,
  type FilledPack,
} from '../../../support/tiny-packs.ts';
import { watchRuns } from '../../../support/watch-runs.ts';

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

const numbersOf = (tensor: TensorValue | undefined) =>
  tensor && 'data' in tensor && tensor.data instanceof Float32Array ? tensor.data : new Float32Array();

test('its UNet is given the pooled prompts, and the size it was trained for whatever it runs at', async () => {
  const given: Readonly<Record<string, TensorValue>>[] = [];
  const keep = (_: Session, inputs: Readonly<Record<string, TensorValue>>) => {
    if ('time_ids' in inputs) given.push(inputs);
  };
  const { pack, files } = model;
  const watched = createEngine(
    async () => watchRuns(await openNodeRuntime(), keep),
    () => (file) => Promise.resolve(files[file]),
  );
  const job = { prompt: 'red apple', negativePrompt: 'green', seeds: [5n], steps: 1 };
  for (const size of [
    { width: 256, height: 256 },
    { width: 192, height: 256 },
  ])
    await runToEnd(watched, [pack], textToImage({ ...job, ...size }));
  await watched.unload();

  expect(given.map(({ sample }) => sample?.dims.slice(2))).toEqual([
    [16, 16],
    [16, 12],
  ]);
  const native = [256, 256, 0, 0, 256, 256];
  for (const inputs of given) {
    expect([...numbersOf(inputs['time_ids'])]).toEqual([...native, ...native]);
    const pooled = numbersOf(inputs['text_embeds']);
    expect(pooled).toHaveLength(2 * 256);
    expect(relativeError(pooled.slice(0, 256), pooled.slice(256))).toBeGreaterThan(0.1);
  }
});
