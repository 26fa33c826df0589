import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Model } from '#engine/models/model.ts';
import type { Runtime } from '#engine/runtime/runtime.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import type { GenerateJob } from '#protocol/job.ts';
import type { AddOnPack } from '#protocol/model.ts';
import { textToImage } from '../../../support/jobs.ts';
import { withoutKernels } from '../../../support/loras.ts';
import { openNodeRuntime } from '../../../support/node-engine.ts';
import { compareImages } from '../../../support/images.ts';
import { joinSources, randomTensors, tensorsOf } from '../../../support/random-weights.ts';
import { runOpened } from '../../../support/run-opened.ts';
import { addOnPack, fileOf, type FilledPack } from '../../../support/tiny-packs.ts';
import { openTinyPipeline } from '../../../support/tiny-pipeline.ts';

const FIXTURES = path.resolve(import.meta.dirname, '../../../fixtures');

/** What has been opened and released on the runtime, in order: the networks by their graphs' inputs. */
const happened: string[] = [];
let runtime: Runtime;
/** The same model as one whose UNet is small, and as one whose UNet is large. */
let small: Model;
let large: Model;
let addOns: readonly FilledPack<AddOnPack>[];

/** Tells a UNet's sessions from others. */
function watch(opened: Runtime): Runtime {
  return {
    ...opened,
    async createSession(model, options) {
      const session = await opened.createSession(model, options);
      if (!session.inputNames.includes('encoder_hidden_states')) return session;
      const kind = session.inputNames.some((name) => name.endsWith('.lora_up')) ? 'with inputs' : 'plain';
      happened.push(`open ${kind}`);
      return {
        ...session,
        async release() {
          happened.push(`release ${kind}`);
          await session.release();
        },
      };
    },
  };
}

async function referenceLora(style: 'kohya' | 'peft'): Promise<TensorSource> {
  const name = `lora-${style}.safetensors`;
  return openSafetensors(new Blob([readFileSync(path.join(FIXTURES, 'models', name))]), name);
}

/** A change of the text encoder, which is merged in any case. */
const textEncoderLora = tensorsOf(
  randomTensors({
    'lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight': [64, 2],
    'lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight': [2, 32],
  }),
);

beforeAll(async () => {
  runtime = watch(await openNodeRuntime());
  small = await openTinyPipeline(runtime, FIXTURES);
  large = await openTinyPipeline(runtime, FIXTURES, { foldedBytes: 0 });
  const kohya = withoutKernels(await referenceLora('kohya'));
  addOns = [
    await addOnPack('lora', 'kohya', await fileOf(joinSources(kohya, textEncoderLora))),
    await addOnPack('lora', 'peft', await fileOf(withoutKernels(await referenceLora('peft')))),
    await addOnPack('lora', 'locon', await fileOf(await referenceLora('kohya'))),
  ];
});

afterAll(async () => {
  await small.release();
  await large.release();
  await runtime.close();
});

/** An image with LoRAs, and which UNets were opened and released for it. */
async function generate(
  model: Model,
  loras: GenerateJob['loras'],
): Promise<{ image: Uint8Array; happened: string[] }> {
  const before = happened.length;
  let file = new Blob();
  const job = textToImage({
    prompt: 'a cat',
    seeds: [7n],
    steps: 3,
    width: 64,
    height: 64,
  });
  await runOpened(
    runtime,
    model,
    { ...job, ...(loras && { loras }) },
    (event) => {
      if (event.type === 'artifact') file = event.file;
    },
    addOns.map(({ pack }) => pack),
    (wanted) => (path) => Promise.resolve(addOns.find(({ pack }) => pack === wanted)?.files[path]),
  );
  return { image: new Uint8Array(await file.arrayBuffer()), happened: happened.slice(before) };
}

const kohya = { id: 'kohya', strength: 0.8 };
const peft = { id: 'peft', strength: -0.6 };

test('a large UNet generates with LoRAs as inputs what it generates with them merged', async () => {
  const plain = await generate(small, undefined);
  for (const loras of [[kohya], [peft], [kohya, peft]]) {
    const merged = await generate(small, loras);
    const given = await generate(large, loras);
    expect(compareImages(given.image, merged.image).largest).toBeLessThanOrEqual(1);
    expect(compareImages(given.image, plain.image).mean).toBeGreaterThan(0.5);
  }
});

test('and one session serves them all, and none of them', async () => {
  await large.release();
  expect((await generate(large, undefined)).happened).toEqual(['open plain']);
  expect((await generate(large, [kohya])).happened).toEqual(['open with inputs']);
  expect((await generate(large, [kohya, peft])).happened).toEqual([]);
  expect((await generate(large, [{ ...kohya, strength: -2 }])).happened).toEqual([]);
  // Of two that are open, the plain one is the faster.
  const plain = await generate(large, undefined);
  expect(plain.happened).toEqual([]);

  await large.release();
  const first = await generate(large, [kohya]);
  expect(first.happened).toEqual(['open with inputs']);
  const without = await generate(large, undefined);
  expect(without.happened).toEqual([]);
  expect(compareImages(without.image, plain.image).largest).toBe(0);
  const again = await generate(large, [kohya]);
  expect(compareImages(again.image, first.image).largest).toBe(0);
});

test('in whatever order they are named', async () => {
  const one = await generate(large, [kohya, peft]);
  await generate(large, [peft]);
  const other = await generate(large, [peft, kohya]);
  expect(compareImages(one.image, other.image).largest).toBe(0);
});

test('what inputs cannot hold is merged: convolutions of more than one cell', async () => {
  await large.release();
  const loras = [{ id: 'locon', strength: 0.8 }, peft];
  const merged = await generate(small, loras);
  const generated = await generate(large, loras);
  expect(generated.happened).toEqual(['open plain']);
  expect(compareImages(generated.image, merged.image).largest).toBeLessThanOrEqual(1);
});

test('small UNets are merged with them', async () => {
  await small.release();
  expect((await generate(small, [kohya])).happened).toEqual(['open plain']);
});
