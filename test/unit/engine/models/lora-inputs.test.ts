import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openAddOns, type AddOns } from '#engine/models/add-ons.ts';
import type { Model } from '#engine/models/model.ts';
import { drawImages } from '#engine/pipelines/draw.ts';
import type { Runtime } from '#engine/runtime/runtime.ts';
import { openSafetensors } from '#engine/weights/safetensors-source.ts';
import type { TensorSource } from '#engine/weights/tensor-source.ts';
import type { GenerateJob } from '#protocol/job.ts';
import type { AddOnPack } from '#protocol/model.ts';
import { textToImage } from '../../../support/jobs.ts';
import { withoutKernels } from '../../../support/loras.ts';
import { openNodeRuntime } from '../../../support/node-engine.ts';
import { compareImages } from '../../../support/images.ts';
import { joinSources, randomTensors, tensorsOf } from '../../../support/random-weights.ts';
import { addOnPack, fileOf, type FilledPack } from '../../../support/tiny-packs.ts';
import { openTinyPipeline } from '../../../support/tiny-pipeline.ts';

const FIXTURES = path.resolve(import.meta.dirname, '../../../fixtures');

/** What has been opened and released on the runtime, in order: the networks by their graphs' inputs. */
const happened: string[] = [];
let runtime: Runtime;
/** The same model as one whose UNet is small, and as one whose UNet is large. */
let small: Model;
let large: Model;
let addOns: AddOns;

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
  const files: readonly FilledPack<AddOnPack>[] = [
    await addOnPack('lora', 'kohya', await fileOf(joinSources(kohya, textEncoderLora))),
    await addOnPack('lora', 'peft', await fileOf(withoutKernels(await referenceLora('peft')))),
    await addOnPack('lora', 'locon', await fileOf(await referenceLora('kohya'))),
  ];
  addOns = openAddOns(
    files.map(({ pack }) => pack),
    (wanted) => (file) => Promise.resolve(files.find(({ pack }) => pack === wanted)?.files[file]),
  );
});

afterAll(async () => {
  await small.release();
  await large.release();
  await runtime.close();
});

/** An image with LoRAs, and which UNets were opened and released for it. */
async function draw(
  model: Model,
  loras: GenerateJob['loras'],
): Promise<{ image: Uint8Array; happened: string[] }> {
  const before = happened.length;
  let file = new Blob();
  const job = textToImage({
    model: model.pack.id,
    prompt: 'a cat',
    seeds: [7n],
    steps: 3,
    width: 64,
    height: 64,
  });
  await drawImages(
    runtime,
    model,
    addOns,
    { ...job, ...(loras && { loras }) },
    { cancelled: false, skipped: false },
    (event) => {
      if (event.type === 'image') file = event.image.blob;
    },
  );
  return { image: new Uint8Array(await file.arrayBuffer()), happened: happened.slice(before) };
}

const kohya = { id: 'kohya', strength: 0.8 };
const peft = { id: 'peft', strength: -0.6 };

test('a large UNet generates with LoRAs as inputs what it generates with them merged', async () => {
  const plain = await draw(small, undefined);
  for (const loras of [[kohya], [peft], [kohya, peft]]) {
    const merged = await draw(small, loras);
    const given = await draw(large, loras);
    expect(compareImages(given.image, merged.image).largest).toBeLessThanOrEqual(1);
    expect(compareImages(given.image, plain.image).mean).toBeGreaterThan(0.5);
  }
});

test('and one session serves them all, and none of them', async () => {
  await large.release();
  expect((await draw(large, undefined)).happened).toEqual(['open plain']);
  expect((await draw(large, [kohya])).happened).toEqual(['open with inputs']);
  expect((await draw(large, [kohya, peft])).happened).toEqual([]);
  expect((await draw(large, [{ ...kohya, strength: -2 }])).happened).toEqual([]);
  // Of two that are open, the plain one is the faster.
  const plain = await draw(large, undefined);
  expect(plain.happened).toEqual([]);

  await large.release();
  const first = await draw(large, [kohya]);
  expect(first.happened).toEqual(['open with inputs']);
  const without = await draw(large, undefined);
  expect(without.happened).toEqual([]);
  expect(compareImages(without.image, plain.image).largest).toBe(0);
  const again = await draw(large, [kohya]);
  expect(compareImages(again.image, first.image).largest).toBe(0);
});

test('in whatever order they are named', async () => {
  const one = await draw(large, [kohya, peft]);
  await draw(large, [peft]);
  const other = await draw(large, [peft, kohya]);
  expect(compareImages(one.image, other.image).largest).toBe(0);
});

test('what inputs cannot hold is merged: convolutions of more than one cell', async () => {
  await large.release();
  const loras = [{ id: 'locon', strength: 0.8 }, peft];
  const merged = await draw(small, loras);
  const drawn = await draw(large, loras);
  expect(drawn.happened).toEqual(['open plain']);
  expect(compareImages(drawn.image, merged.image).largest).toBeLessThanOrEqual(1);
});

test('small UNets are merged with them', async () => {
  await small.release();
  expect((await draw(small, [kohya])).happened).toEqual(['open plain']);
});
