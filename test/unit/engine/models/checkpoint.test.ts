import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCheckpoint, type Component } from '#weights/checkpoint.ts';
import { fromFloat32, readFloat32 } from '#weights/casts.ts';
import { chooseStorage, quantiseTensors } from '#weights/quantise.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import type { EngineWorker } from '#protocol/engine-worker.ts';
import type { GenerateJob, Pass } from '#protocol/job.ts';
import type { AnyPack, ModelPack } from '#protocol/model.ts';
import { textToImage } from '../../../support/jobs.ts';
import { compareImages } from '../../../support/images.ts';
import { joinSources, pseudoRandom, tensorsOf } from '../../../support/random-weights.ts';
import { tinyCheckpoint } from '../../../support/tiny-checkpoint.ts';
import {
  addOnPack,
  engineFor,
  fileOf,
  modelPack,
  generate,
  type FilledPack,
  type Generated,
} from '../../../support/tiny-packs.ts';

/** Everything is generated at 64×64 in two steps. */
function job(
  prompt: string,
  { vae, ...changes }: Partial<GenerateJob & Pick<Pass, 'vae'>> = {},
): GenerateJob {
  const base = textToImage({
    prompt,
    seeds: [7n],
    width: 64,
    height: 64,
    steps: 2,
    ...(vae !== undefined && { vae }),
  });
  return { ...base, promptOptions: { ...base.promptOptions, syntax: 'a1111' }, ...changes };
}

const packs: FilledPack<AnyPack>[] = [];
const engine = engineFor(packs);
afterAll(() => engine.unload());

let checkpoint: FilledPack<ModelPack>;
let components: ReadonlyMap<Component, TensorSource>;

/** The checkpoint's networks as folders, some of them changed on the way. */
async function foldersWith(
  id: string,
  change: (component: Component, source: TensorSource) => TensorSource,
): Promise<FilledPack<ModelPack>> {
  const files: Record<string, Blob> = {};
  for (const [component, source] of components) {
    files[`${component}/model.safetensors`] = await fileOf(change(component, source));
  }
  return modelPack(files, { id });
}

beforeAll(async () => {
  const file = await tinyCheckpoint();
  checkpoint = await modelPack({ 'checkpoint.safetensors': file }, { id: 'checkpoint' });
  packs.push(checkpoint);
  ({ components } = openCheckpoint(await openSafetensors(file, 'checkpoint.safetensors')));
});

/** The engine, which from now on finds the files of these. */
function engineWith(...more: readonly FilledPack<AnyPack>[]): EngineWorker {
  packs.push(...more);
  return engine;
}

/** How far apart two images are, on average and at most, in steps of 1/255. */
function difference(
  a: Pick<Generated, 'pngs'>,
  b: Pick<Generated, 'pngs'>,
  index = 0,
): { mean: number; largest: number } {
  const [first, second] = [a.pngs[index], b.pngs[index]];
  if (!first || !second) throw new Error('There is no image.');
  return compareImages(first, second);
}

const RANK = 4;
const ALPHA = 2;
/** Modules that the LoRA changes, by kohya's names for them. */
const MODULES: readonly (readonly [Component, kohya: string, weight: string])[] = [
  [
    'unet',
    'lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k',
    'mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight',
  ],
  ['unet', 'lora_unet_down_blocks_0_resnets_0_conv1', 'down_blocks.0.resnets.0.conv1.weight'],
  [
    'text_encoder',
    'lora_te_text_model_encoder_layers_1_mlp_fc1',
    'text_model.encoder.layers.1.mlp.fc1.weight',
  ],
];

/** The two factors of a module's change; the first 4 inputs and outputs change most. */
function factorsOf(weight: string, [out = 1, ...inputs]: readonly number[]) {
  const columns = inputs.reduce((product, side) => product * side, 1);
  const seed = weight.length;
  return {
    out,
    inputs,
    columns,
    up: pseudoRandom(out * RANK, seed),
    down: pseudoRandom(RANK * columns, seed + 1),
  };
}

async function makeLora(extra: Record<string, number[]> = {}): Promise<Blob> {
  const tensors: Record<string, { shape: readonly number[]; data: Float32Array<ArrayBuffer> }> = {};
  for (const [component, kohya, weight] of MODULES) {
    const shape = components.get(component)?.info(weight)?.shape ?? [];
    const { out, inputs, up, down } = factorsOf(weight, shape);
    tensors[`${kohya}.lora_up.weight`] = { shape: [out, RANK, ...inputs.slice(1).map(() => 1)], data: up };
    tensors[`${kohya}.lora_down.weight`] = { shape: [RANK, ...inputs], data: down };
    tensors[`${kohya}.alpha`] = { shape: [], data: Float32Array.of(ALPHA) };
    for (const [part, values] of Object.entries(extra)) {
      tensors[`${kohya}.${part}`] = { shape: [values.length], data: Float32Array.from(values) };
    }
  }
  return fileOf(tensorsOf(tensors));
}

/** The networks with the LoRA added by plain loops. */
function mergeByHand(
  component: Component,
  source: TensorSource,
  strengths: Partial<Record<Component, number>>,
) {
  const changed = new Set(MODULES.flatMap(([of, , weight]) => (of === component ? weight : [])));
  return {
    ...source,
    location: () => undefined,
    async read(name: string) {
      const info = source.info(name);
      if (!changed.has(name) || !info) return source.read(name);
      const values = await readFloat32(source, name);
      const { out, columns, up, down } = factorsOf(name, info.shape);
      for (let row = 0; row < out; row++) {
        for (let column = 0; column < columns; column++) {
          let sum = 0;
          for (let r = 0; r < RANK; r++) sum += (up[row * RANK + r] ?? 0) * (down[r * columns + column] ?? 0);
          const at = row * columns + column;
          values[at] = (values[at] ?? 0) + (strengths[component] ?? 0) * (ALPHA / RANK) * sum;
        }
      }
      return fromFloat32(values, 'float16');
    },
  };
}

describe('a checkpoint', () => {
  test('generates the same image as ever', async () => {
    const image = { pngs: [new Uint8Array(readFileSync('test/fixtures/tiny-checkpoint/cat.png'))] };
    const plain = textToImage({ prompt: 'a cat', seeds: [7n], width: 64, height: 64, steps: 2 });
    expect(difference(await generate(engine, checkpoint, plain), image).largest).toBeLessThanOrEqual(1);
  });

  test('generates from one file what its networks generate from folders', async () => {
    const folders = await foldersWith('folders', (_, source) => source);
    const engine = engineWith(folders);
    const whole = await generate(engine, checkpoint, job('a cat'));
    const parts = await generate(engine, folders, job('a cat'));
    expect(difference(whole, parts).largest).toBe(0);
    expect(whole.notes).toEqual([]);
    expect(whole.images[0]?.infotext).toContain('Model: checkpoint');
    // The text encoder has a say.
    const other = await generate(engine, folders, job('a dog'));
    expect(difference(parts, other).mean).toBeGreaterThan(0.1);
    const skipped = { ...job('a dog').promptOptions, clipSkip: 2 };
    const earlier = await generate(engine, folders, job('a dog', { promptOptions: skipped }));
    expect(difference(earlier, other).mean).toBeGreaterThan(0.1);
    expect(earlier.notes).toEqual([]);
  });

  test.for([
    [8, 3],
    [4, 12],
  ] as const)('quantised to %i bits generates nearly the same', async ([bits, tolerance]) => {
    const quantised = await foldersWith(`int${String(bits)}`, (component, source) =>
      quantiseTensors(source, chooseStorage(component, bits)),
    );
    const engine = engineWith(quantised);
    const exact = await generate(engine, checkpoint, job('a cat'));
    const rough = await generate(engine, quantised, job('a cat'));
    const { mean } = difference(exact, rough);
    expect(mean).toBeGreaterThan(0);
    expect(mean).toBeLessThan(tolerance);
  });

  test('without one of its networks is refused', async () => {
    const unetOnly = await modelPack({
      'unet/model.safetensors': await fileOf(components.get('unet') ?? tensorsOf({})),
    });
    await expect(generate(engineWith(unetOnly), unetOnly, job('a cat'))).rejects.toMatchObject({
      code: 'unsupported_feature',
    });
    const { pack, files } = checkpoint;
    const incomplete = { pack: { ...pack }, files: { ...files, 'checkpoint.safetensors': undefined } };
    await expect(generate(engineWith(incomplete), incomplete, job('a cat'))).rejects.toMatchObject({
      code: 'model_not_found',
      detail: { file: 'checkpoint.safetensors' },
    });
  });
});

describe('LoRAs', () => {
  test('named in a prompt are merged as by hand, and undone to the last bit', async () => {
    const lora = await addOnPack('lora', 'style', await makeLora(), { family: 'sd1', title: 'My Style' });
    const byHand = await foldersWith('by-hand', (component, source) =>
      mergeByHand(component, source, { unet: 0.5, text_encoder: 0.25 }),
    );
    const engine = engineWith(byHand, lora);
    const without = await generate(engine, checkpoint, job('a cat'), [lora]);
    const merged = await generate(engine, checkpoint, job('a cat <lora:STYLE:0.25:0.5>'), [lora]);
    const again = await generate(engine, checkpoint, job('a cat'), [lora]);
    const expected = await generate(engine, byHand, job('a cat'));
    expect(difference(merged, expected).largest).toBeLessThanOrEqual(1);
    expect(difference(merged, without).mean).toBeGreaterThan(1);
    expect(difference(again, without).largest).toBe(0);
    const hash = lora.pack.files[0]?.sha256?.slice(0, 12) ?? '';
    expect(merged.images[0]?.infotext).toContain(`Lora hashes: "style: ${hash}"`);
    expect(again.images[0]?.infotext).not.toContain('Lora hashes');
    expect(merged.notes).toEqual([]);
  });

  test('may differ from image to image of a batch, and come with the job', async () => {
    const lora = await addOnPack('lora', 'style', await makeLora());
    const engine = engineWith(lora);
    const base = job('a cat');
    const [image] = base.images;
    if (!image) throw new Error('There is no image.');
    const prompts = ['a cat', 'a cat <lora:My Style>', 'a cat <lora:style>'];
    const images = prompts.map((prompt) => ({ ...image, prompt: [prompt] }));
    const batch = await generate(engine, checkpoint, { ...base, images, batchSize: 3 }, [lora]);
    expect(batch.images.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(batch.notes).toEqual(['The LoRA “My Style” had no effect: it is not installed.']);
    const ofJob = await generate(engine, checkpoint, { ...base, loras: [{ id: 'style', strength: 1 }] }, [
      lora,
    ]);
    const plain = await generate(engine, checkpoint, base, [lora]);
    const one = (index: number): Generated => ({ ...batch, pngs: batch.pngs.slice(index, index + 1) });
    expect(difference(one(0), plain).largest).toBeLessThanOrEqual(1);
    expect(difference(one(1), plain).largest).toBeLessThanOrEqual(1);
    expect(difference(one(2), ofJob).largest).toBeLessThanOrEqual(1);
    expect(difference(ofJob, plain).mean).toBeGreaterThan(1);
  });

  test('that have no effect are named, those that cannot be merged refused', async () => {
    const foreign = await fileOf(
      tensorsOf({
        'lora_unet_nowhere.lora_up.weight': { shape: [8, 1], data: new Float32Array(8) },
        'lora_unet_nowhere.lora_down.weight': { shape: [1, 8], data: new Float32Array(8) },
      }),
    );
    const addOns = [
      await addOnPack('lora', 'big', await makeLora(), { family: 'sdxl' }),
      await addOnPack('lora', 'other', foreign),
      await addOnPack('lora', 'dora', await makeLora({ dora_scale: [1] })),
    ];
    const engine = engineWith(...addOns);
    const prompt = 'a cat <lora:big:1> <lora:other> <lora:style:a lot> <hypernet:x:1>';
    const { notes } = await generate(engine, checkpoint, job(prompt), addOns);
    expect(notes.slice(0, 3)).toEqual([
      '<lora:style:a lot> had no effect: its strength is not a number.',
      '<hypernet:x:1> had no effect: there is nothing of this kind here.',
      'The LoRA “big” had no effect: it was made for Stable Diffusion XL, and Tiny sd1 is of Stable Diffusion 1.',
    ]);
    expect(notes.slice(3)).toHaveLength(1);
    expect(notes[3]).toMatch(/^The LoRA “other” had no effect: other was made for another kind of model/);
    const refused = generate(engine, checkpoint, job('a cat <lora:dora>'), addOns);
    await expect(refused).rejects.toThrow('DoRA');
    await expect(refused).rejects.toMatchObject({ code: 'unsupported_feature' });
  });
});

test('an embedding stands for its tokens in a prompt', async () => {
  const WIDTH = 768;
  const table = 'text_model.embeddings.token_embedding.weight';
  const textEncoder = components.get('text_encoder');
  if (!textEncoder) throw new Error('The checkpoint has no text encoder.');
  const values = await readFloat32(textEncoder, table);
  // The very vectors of “dog” and “cat”, so that the name means what the words mean.
  const vectors = new Float32Array(2 * WIDTH);
  for (const [row, id] of [1929, 2368].entries())
    vectors.set(values.subarray(id * WIDTH, (id + 1) * WIDTH), row * WIDTH);
  const file = await fileOf(tensorsOf({ emb_params: { shape: [2, WIDTH], data: vectors } }));
  const embedding = await addOnPack('embedding', 'zoo', file, { family: 'sd1' });
  const wide = await addOnPack(
    'embedding',
    'tall',
    await fileOf(tensorsOf({ emb_params: { shape: [1, 1024], data: new Float32Array(1024) } })),
  );
  const engine = engineWith(embedding, wide);
  const named = await generate(engine, checkpoint, job('a (Zoo:1.2), tall'), [embedding, wide]);
  const words = await generate(engine, checkpoint, job('a (dog cat:1.2), tall'), [embedding, wide]);
  const none = await generate(engine, checkpoint, job('a (Zoo:1.2), tall'), []);
  expect(difference(named, words).largest).toBeLessThanOrEqual(1);
  expect(difference(named, none).mean).toBeGreaterThan(0.1);
  expect(named.notes).toEqual([
    'The embedding “tall” had no effect: it was made for other text encoders than those of Tiny sd1.',
  ]);
  expect(named.images[0]?.infotext).toMatch(/TI hashes: "zoo: [0-9a-f]{12}"/);

  // Prompts read as they stand may name those that the job lists.
  const plain = (embeddings: string[]) =>
    generate(
      engine,
      checkpoint,
      job('a zoo', { promptOptions: { ...job('').promptOptions, syntax: 'plain', embeddings } }),
      [embedding],
    );
  const [listed, unlisted] = [await plain(['zoo']), await plain([])];
  expect(difference(listed, unlisted).mean).toBeGreaterThan(0.1);
  expect(unlisted.images[0]?.infotext).not.toContain('TI hashes');
});

test('a word bundled with a LoRA stands for its vectors while the LoRA is in the prompt', async () => {
  const WIDTH = 768;
  const textEncoder = components.get('text_encoder');
  if (!textEncoder) throw new Error('The checkpoint has no text encoder.');
  const values = await readFloat32(textEncoder, 'text_model.embeddings.token_embedding.weight');
  const vectors = new Float32Array(2 * WIDTH);
  for (const [row, id] of [1929, 2368].entries())
    vectors.set(values.subarray(id * WIDTH, (id + 1) * WIDTH), row * WIDTH);
  const word = { shape: [2, WIDTH], data: vectors };
  const bundle = tensorsOf({ 'bundle_emb.Pet Zoo.string_to_param.*': word });
  const file = await openSafetensors(await makeLora(), 'style');
  const lora = await addOnPack('lora', 'pets', await fileOf(joinSources(file, bundle)), { family: 'sd1' });
  const engine = engineWith(lora);
  const words = await generate(engine, checkpoint, job('a (dog cat:1.2)'), [lora]);
  const named = await generate(engine, checkpoint, job('a (pet zoo:1.2) <lora:pets:0>'), [lora]);
  const without = await generate(engine, checkpoint, job('a (pet zoo:1.2)'), [lora]);
  expect(difference(named, words).largest).toBeLessThanOrEqual(1);
  expect(difference(without, words).mean).toBeGreaterThan(0.1);
  expect(named.notes).toEqual([]);
  expect(named.images[0]?.infotext).not.toContain('TI hashes');
  // An installed embedding keeps its word.
  const own = await addOnPack(
    'embedding',
    'pet zoo',
    await fileOf(tensorsOf({ emb_params: { shape: [1, WIDTH], data: new Float32Array(WIDTH) } })),
    { family: 'sd1' },
  );
  const both = engineWith(lora, own);
  const installed = await generate(both, checkpoint, job('a (pet zoo:1.2) <lora:pets:0>'), [lora, own]);
  const alone = await generate(both, checkpoint, job('a (pet zoo:1.2)'), [own]);
  expect(difference(installed, alone).largest).toBeLessThanOrEqual(1);
});

test('what a LoRA has that the model has no place for is named, and the rest applies', async () => {
  const file = await openSafetensors(await makeLora(), 'style');
  const others = tensorsOf({
    'text_model.embeddings.position_ids': { shape: [1, 77], data: new Float32Array(77) },
    'lora_unet_nowhere.lora_up.weight': { shape: [8, 1], data: new Float32Array(8) },
    'lora_unet_nowhere.lora_down.weight': { shape: [1, 8], data: new Float32Array(8) },
    'lora_unet_conv_in.alpha': { shape: [1], data: new Float32Array(1) },
  });
  const plain = await addOnPack('lora', 'plain', await makeLora(), { family: 'sd1' });
  const extended = await addOnPack('lora', 'more', await fileOf(joinSources(file, others)), {
    family: 'sd1',
  });
  const engine = engineWith(plain, extended);
  const expected = await generate(engine, checkpoint, job('a cat <lora:plain:1>'), [plain]);
  const found = await generate(engine, checkpoint, job('a cat <lora:more:1>'), [extended]);
  expect(difference(found, expected).largest).toBeLessThanOrEqual(1);
  expect(found.notes).toEqual([
    'The LoRA “more” was applied without what this model has no place for: text_model.embeddings.position_ids, lora_unet_conv_in.alpha, nowhere.',
  ]);
});

describe('another VAE', () => {
  test('takes the place of the model’s own', async () => {
    const vae = components.get('vae');
    if (!vae) throw new Error('The checkpoint has no VAE.');
    const doubled: TensorSource = {
      ...vae,
      location: () => undefined,
      async read(name) {
        if (name !== 'decoder.conv_out.weight') return vae.read(name);
        return fromFloat32(
          (await readFloat32(vae, name)).map((value) => 2 * value),
          'float16',
        );
      },
    };
    const own = await addOnPack('vae', 'own', await fileOf(vae));
    const brighter = await addOnPack('vae', 'brighter', await fileOf(doubled));
    const taesd = await addOnPack(
      'vae',
      'taesd',
      new Blob([readFileSync('test/fixtures/models/autoencoder-tiny/diffusion_pytorch_model.safetensors')]),
    );
    const config = new Blob([readFileSync('test/fixtures/models/autoencoder-tiny/config.json')]);
    const tiny = { ...taesd, files: { ...taesd.files, 'config.json': config } };
    const addOns = [own, brighter, tiny];
    const engine = engineWith(...addOns);
    const plain = await generate(engine, checkpoint, job('a cat'), addOns);
    const same = await generate(engine, checkpoint, job('a cat', { vae: 'own' }), addOns);
    const bright = await generate(engine, checkpoint, job('a cat', { vae: 'Brighter' }), addOns);
    expect(difference(same, plain).largest).toBe(0);
    expect(difference(bright, plain).mean).toBeGreaterThan(1);
    expect(bright.images[0]?.infotext).toContain('VAE: brighter');
    const fast = await generate(engine, checkpoint, job('a cat', { vae: 'taesd' }), addOns);
    expect(difference(fast, plain).mean).toBeGreaterThan(1);
  });

  test('that is not installed is an error before work', async () => {
    await expect(generate(engine, checkpoint, job('a cat', { vae: 'nothing' }))).rejects.toMatchObject({
      code: 'model_not_found',
      detail: { model: 'nothing' },
    });
  });
});
