import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildClipText } from '#engine/architectures/clip-text.ts';
import { decodePng } from '#codecs/png.ts';
import type { AddOnPack, ConfigFile, ModelPack } from '#protocol/model.ts';
import type { EngineWorker } from '#protocol/engine-worker.ts';
import type { FooocusGuidance, GenerateJob, MaskedInit, Pass, SizeConditioning } from '#protocol/job.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import { loadClipTokenizer } from '../../../support/clip-tokenizer.ts';
import { textToImage, withPass } from '../../../support/jobs.ts';
import { openGraph } from '../../../support/onnx-session.ts';
import { compareImages, pngOf } from '../../../support/images.ts';
import { differenceWhere, photo, pixelsOf } from '../../../support/init-engine.ts';
import { maskedInit } from '../../../support/inits.ts';
import { joinSources, randomTensors, tensorsOf } from '../../../support/random-weights.ts';
import { relativeError } from '../../../support/relative-error.ts';
import { clipConfig, tinyClip } from '../../../support/tiny-clip.ts';
import {
  addOnPack,
  engineFor,
  fileOf,
  modelPack,
  generate,
  runToEnd,
  type FilledPack,
} from '../../../support/tiny-packs.ts';
import { openNodeRuntime } from '../../../support/node-engine.ts';
import { openModel } from '#engine/models/model.ts';
import { openAddOns } from '#engine/models/add-ons.ts';
import { encodeConditioning } from '#engine/stages/prompts/conditioning.ts';
import { readPrompts } from '#engine/stages/prompts/read-prompts.ts';
import type { Context } from '#engine/text/encode.ts';
import { planSampling } from '#engine/samplers/index.ts';

/** The reference's UNet reads 32 numbers of context and 32 pooled ones: 16 of each encoder, and the second's. */
const FIRST = { width: 16, layers: 3 };
const SECOND = { width: 16, layers: 4, projection: 32 };

const fixture = (path: string) => readFileSync(`test/fixtures/models/${path}`);
const json = (path: string) => JSON.parse(fixture(path).toString()) as ConfigFile;

let model: FilledPack<ModelPack>;
let engine: EngineWorker;
const packs: Parameters<typeof engineFor>[0][number][] = [];

const JOB = textToImage({ prompt: 'a cat', seeds: [7n], width: 64, height: 64, steps: 2 });
const jobOf = (
  prompt: string,
  syntax: 'plain' | 'a1111' | 'fooocus' = 'a1111',
  clipSkip = 1,
): GenerateJob => ({
  ...JOB,
  images: JOB.images.map((image) => ({ ...image, prompt: [prompt] })),
  promptOptions: { ...JOB.promptOptions, syntax, clipSkip },
});

beforeAll(async () => {
  const files = {
    'unet/model.safetensors': new Blob([fixture('unet-sdxl/diffusion_pytorch_model.safetensors')]),
    'vae/model.safetensors': new Blob([fixture('autoencoder-kl/diffusion_pytorch_model.safetensors')]),
    'text_encoder/model.safetensors': await fileOf(tinyClip(FIRST)),
    'text_encoder_2/model.safetensors': await fileOf(tinyClip(SECOND)),
  };
  const configs = {
    'unet/config.json': json('unet-sdxl/config.json'),
    'vae/config.json': json('autoencoder-kl/config.json'),
    'text_encoder/config.json': clipConfig(FIRST),
    'text_encoder_2/config.json': clipConfig(SECOND),
  };
  model = await modelPack(files, { id: 'xl', family: 'sdxl', configs });
  packs.push(model);
  engine = engineFor(packs);
});
afterAll(() => engine.unload());

/** The conditioning of a prompt's first call, through the app's own code. */
async function conditioningOf(
  job: GenerateJob,
  { pack, files } = model,
  sizeConditioning: SizeConditioning = {},
  fooocusSizes?: FooocusGuidance['sizes'],
) {
  const runtime = await openNodeRuntime();
  const opened = await openModel(pack, runtime, (path) => Promise.resolve(files[path]));
  const addOns = openAddOns([], () => () => Promise.resolve(undefined));
  const loaded = await opened.load({}, addOns);
  const [pass] = job.passes;
  const sampling = planSampling(pass.sampler, opened.noiseModel, pass.steps);
  const [read] = await readPrompts(opened, addOns, job, sampling, [], () => undefined);
  if (!read) throw new Error('There are no prompts.');
  const encoded = await encodeConditioning(
    loaded,
    read,
    {
      promptOptions: job.promptOptions,
      guidanceScale: pass.guidanceScale,
      size: { width: 64, height: 128 },
      sizeConditioning,
      fooocusSizes,
    },
    () => undefined,
  );
  const conditioning = encoded.conditioningAt(0);
  await opened.release();
  await runtime.close();
  return conditioning;
}

/** One text encoder alone, on ids written here by hand. */
async function encodeAlone(sizes: typeof FIRST & { projection?: number }, padId: number) {
  const weights = tinyClip(sizes);
  const layer = `hidden_states.${sizes.layers - 1}` as const;
  const graph = buildClipText(clipConfig(sizes), {
    weights,
    outputs: sizes.projection === undefined ? [layer] : [layer, 'text_embeds'],
  });
  const ids = new Int32Array(77).fill(padId);
  const text = loadClipTokenizer().encode('a cat');
  ids.set([49406, ...text, 49407]);
  const session = await openGraph(graph, weights, {});
  const outputs = await session.run({ input_ids: { data: ids, shape: [1, 77] } });
  await session.release();
  return { hidden: outputs[layer]?.data, pooled: outputs['text_embeds']?.data };
}

describe('SDXL', () => {
  test('reads both encoders, one padded with zeros, and tells the UNet sizes and the pooled text', async () => {
    const { positive, negative } = await conditioningOf(jobOf('a cat'));
    const first = await encodeAlone(FIRST, 49407);
    const second = await encodeAlone(SECOND, 0);
    const context = positive[0]?.context;
    expect(context).toMatchObject({ tokens: 77, width: 32 });
    const columns = (from: number) =>
      Float32Array.from(
        { length: 77 * 16 },
        (_, i) => context?.data[Math.floor(i / 16) * 32 + from + (i % 16)] ?? NaN,
      );
    expect(relativeError(columns(0), first.hidden ?? new Float32Array())).toBeLessThan(1e-5);
    expect(relativeError(columns(16), second.hidden ?? new Float32Array())).toBeLessThan(1e-5);
    const { text_embeds: pooled, time_ids: ids } = context?.added ?? {};
    expect(relativeError(pooled ?? new Float32Array(), second.pooled ?? new Float32Array())).toBeLessThan(
      1e-5,
    );
    expect([...(ids ?? [])]).toEqual([128, 64, 0, 0, 128, 64]);
    // No negative prompt is zeros, in diffusers and A1111.
    expect(negative.data.every((value) => value === 0)).toBe(true);
    expect(negative.added?.['text_embeds']?.every((value) => value === 0)).toBe(true);
    const { negative: ofFooocus } = await conditioningOf(jobOf('a cat', 'fooocus'));
    expect(ofFooocus.data.some((value) => value !== 0)).toBe(true);
  });

  test('generates what the prompt, its embeddings and clip skip say', async () => {
    const vectors = (width: number, seed: number) => ({
      shape: [2, width],
      data: Float32Array.from({ length: 2 * width }, (_, i) => Math.sin(seed + i)),
    });
    const embedding = await addOnPack(
      'embedding',
      'zoo',
      await fileOf(tensorsOf({ clip_l: vectors(16, 1), clip_g: vectors(16, 2) })),
      { family: 'sdxl' },
    );
    packs.push(embedding);
    const png = async (job: GenerateJob) => {
      const { pngs, notes } = await generate(engine, model, job, [embedding]);
      expect(notes).toEqual([]);
      return pngs[0] ?? new Uint8Array();
    };
    const cat = await png(jobOf('a cat'));
    expect(compareImages(await png(jobOf('a dog')), cat).mean).toBeGreaterThan(0.01);
    expect(compareImages(await png(jobOf('a zoo')), cat).mean).toBeGreaterThan(0.01);
    // Fooocus counts from 2: its default is the layer that SDXL reads anyway.
    expect(compareImages(await png(jobOf('a cat', 'a1111', 2)), cat).largest).toBe(0);
    expect(compareImages(await png(jobOf('a cat', 'a1111', 3)), cat).mean).toBeGreaterThan(0.01);
  });

  test('is told other sizes than its own where it is asked to', async () => {
    const { positive } = await conditioningOf(jobOf('a cat'), model, {
      original: { width: 768, height: 512 },
      crop: { x: 32, y: 16 },
      target: { width: 1024, height: 1000 },
    });
    expect([...(positive[0]?.context.added?.['time_ids'] ?? [])]).toEqual([512, 768, 16, 32, 1000, 1024]);
  });

  test('is told scaled sizes at the beginning of the run, as Fooocus does it', async () => {
    const sizes = { positive: 1.5, negative: 0.8, end: 0.3 };
    const { positive, negative } = await conditioningOf(jobOf('a cat', 'fooocus'), model, {}, sizes);
    const idsOf = ({ added, addedLate }: Context) =>
      [added, addedLate?.added].map((each) => [...(each?.['time_ids'] ?? [])]);
    const context = positive[0]?.context;
    if (!context) throw new Error('There is no context.');
    expect(idsOf(context)).toEqual([
      [192, 96, 0, 0, 128, 64],
      [128, 64, 0, 0, 128, 64],
    ]);
    // 128 and 64 times 0.8, without what is behind the point.
    expect(idsOf(negative)[0]).toEqual([102, 51, 0, 0, 128, 64]);
    expect(context.addedLate?.from).toBeCloseTo(699.3, 6);
  });

  test('is guided as Fooocus does it', async () => {
    const plain: FooocusGuidance = {
      adaptiveScale: 30,
      sharpness: 0,
      sizes: { positive: 1, negative: 1, end: 0 },
    };
    const png = async (changes: Partial<FooocusGuidance> | null) => {
      const job = withPass(jobOf('a cat', 'fooocus'), {
        guidanceScale: 9,
        steps: 4,
        ...(changes && { fooocusGuidance: { ...plain, ...changes } }),
      });
      return (await generate(engine, model, job)).pngs[0] ?? new Uint8Array();
    };
    const without = await png(null);
    expect(compareImages(await png({}), without).largest).toBe(0);
    const changes = {
      adaptive: { adaptiveScale: 2 },
      sharp: { sharpness: 30 },
      positive: { sizes: { positive: 3, negative: 1, end: 0.5 } },
      negative: { sizes: { positive: 1, negative: 0.1, end: 0.5 } },
      longer: { sizes: { positive: 3, negative: 1, end: 1 } },
    };
    const images = new Map<string, Uint8Array>([['without', without]]);
    for (const [name, change] of Object.entries(changes)) {
      const image = await png(change);
      for (const [other, known] of images)
        expect(compareImages(image, known).largest, `${name}, ${other}`).toBeGreaterThan(0);
      images.set(name, image);
    }
  });

  test('without its first text encoder is refused', async () => {
    const { 'text_encoder/model.safetensors': first, ...files } = model.files;
    expect(first).toBeDefined();
    const half = {
      files,
      pack: { ...model.pack, id: 'half', files: model.pack.files.filter(({ path }) => path in files) },
    };
    packs.push(half);
    const refused = generate(engine, half, jobOf('a cat'));
    await expect(refused).rejects.toThrow('the first text encoder is missing');
    await expect(refused).rejects.toMatchObject({ code: 'unsupported_feature' });
  });
});

describe('an inpaint patch of Fooocus', () => {
  const torchFile = (name: string) =>
    new Blob([new Uint8Array(readFileSync(`test/fixtures/fooocus-inpaint/${name}`))]);
  const isMasked = (x: number) => x < 32;
  const mask = pngOf(64, 64, (x) => (isMasked(x) ? [255, 255, 255] : [0, 0, 0]));
  const patch = { head: 'head', weights: 'weights' };
  let addOns: FilledPack<AddOnPack>[];

  beforeAll(async () => {
    addOns = await Promise.all([
      addOnPack('inpaint-patch', 'head', torchFile('fooocus_inpaint_head.pth'), { family: 'sdxl' }),
      addOnPack('inpaint-patch', 'weights', torchFile('inpaint_v26.fooocus.patch'), { family: 'sdxl' }),
      addOnPack('inpaint-patch', 'other', torchFile('inpaint_v26.fooocus.patch'), { family: 'sd1' }),
    ]);
    packs.push(...addOns);
  });

  async function inpaint(changes: Partial<MaskedInit>, pass: Partial<Pass> = {}) {
    const init = maskedInit([photo()], mask, {
      rules: 'fooocus',
      area: { field: 1 },
      fill: 'fill',
      overlay: true,
      ...changes,
    });
    const job = withPass(
      { ...jobOf('a cat', 'fooocus'), init },
      { size: { width: 64, height: 64 }, ...pass },
    );
    const { pngs, notes } = await generate(engine, model, job, addOns);
    const [png] = pngs;
    if (!png) throw new Error('There is no image.');
    return { image: decodePng(png), notes };
  }

  test('changes what is inpainted and nothing else, until the refiner goes on without it', async () => {
    const without = await inpaint({});
    const patched = await inpaint({ patch });
    expect(patched.notes).toEqual([]);
    expect(differenceWhere(patched.image, without.image, isMasked)).toBeGreaterThan(1);
    const sent = await pixelsOf(photo());
    expect(differenceWhere(patched.image, sent, (x) => x === 63)).toBe(0);
    const refiner = { model: model.pack.id, switchAt: 0, counts: 'step' } as const;
    const refined = await inpaint({ patch }, { refiner });
    expect(differenceWhere(refined.image, without.image, () => true)).toBe(0);
    const half = await inpaint({ patch }, { refiner: { ...refiner, switchAt: 0.5 } });
    expect(differenceWhere(half.image, without.image, isMasked)).toBeGreaterThan(0);
    expect(differenceWhere(half.image, patched.image, isMasked)).toBeGreaterThan(0);
  });

  test('that is for another family has no effect, which is noted; a head is no patch', async () => {
    const without = await inpaint({});
    const other = await inpaint({ patch: { ...patch, weights: 'other' } });
    expect(differenceWhere(other.image, without.image, () => true)).toBe(0);
    expect(other.notes).toEqual([expect.stringContaining('The inpaint patch “other” had no effect: ')]);
    await expect(inpaint({ patch: { head: 'weights', weights: 'weights' } })).rejects.toThrow(
      'weights is not the head of an inpaint patch.',
    );
    await expect(inpaint({ patch: { head: 'head', weights: 'head' } })).rejects.toThrow(
      'head is not a patch',
    );
  });
});

describe('its refiner', () => {
  /** The second text encoder only, and the widths that the published refiner is known by. */
  const TEXT = { width: 32, layers: 3, projection: 1280 };
  let refiner: FilledPack<ModelPack>;

  beforeAll(async () => {
    const unet = await openSafetensors(
      new Blob([fixture('unet-sdxl/diffusion_pytorch_model.safetensors')]),
      'unet',
    );
    const wide = tensorsOf(
      randomTensors({ 'add_embedding.linear_1.weight': [64, 2560], 'conv_out.weight': [4, 16, 3, 3] }),
    );
    refiner = await modelPack(
      {
        'unet/model.safetensors': await fileOf(joinSources(wide, unet)),
        'vae/model.safetensors': new Blob([fixture('autoencoder-kl/diffusion_pytorch_model.safetensors')]),
        'text_encoder_2/model.safetensors': await fileOf(tinyClip(TEXT)),
      },
      {
        id: 'refiner',
        family: 'sdxl-refiner',
        configs: {
          'unet/config.json': {
            ...json('unet-sdxl/config.json'),
            addition_time_embed_dim: 256,
            projection_class_embeddings_input_dim: 2560,
          },
          'vae/config.json': json('autoencoder-kl/config.json'),
          'text_encoder_2/config.json': clipConfig(TEXT),
        },
      },
    );
    packs.push(refiner);
  });

  test('reads the second encoder alone, and is told an aesthetic score', async () => {
    const { positive, negative } = await conditioningOf(jobOf('a cat', 'plain'), refiner);
    const context = positive[0]?.context;
    const alone = await encodeAlone(TEXT, 0);
    expect(
      relativeError(context?.data ?? new Float32Array(), alone.hidden ?? new Float32Array()),
    ).toBeLessThan(1e-5);
    expect([...(context?.added?.['time_ids'] ?? [])]).toEqual([128, 64, 0, 0, 6]);
    expect([...(negative.added?.['time_ids'] ?? [])]).toEqual([128, 64, 0, 0, 2.5]);
    // diffusers’ refiner encodes an empty negative prompt, A1111 gives it zeros.
    expect(negative.data.some((value) => value !== 0)).toBe(true);
    const { negative: ofA1111 } = await conditioningOf(jobOf('a cat'), refiner);
    expect(ofA1111.data.every((value) => value === 0)).toBe(true);
  });

  test('ends what the base model begins', async () => {
    const refined = (switchAt: number): GenerateJob => {
      const job = jobOf('a cat');
      const [pass] = job.passes;
      return { ...job, passes: [{ ...pass, refiner: { model: 'refiner', switchAt, counts: 'step' } }] };
    };
    const png = async (job: GenerateJob) => {
      const own = withPass(job, { model: model.pack.id });
      return (await runToEnd(engine, [model.pack, refiner.pack], own)).pngs[0] ?? new Uint8Array();
    };
    const base = await png(jobOf('a cat'));
    expect(compareImages(await png(refined(1)), base).largest).toBe(0);
    expect(compareImages(await png(refined(0.5)), base).mean).toBeGreaterThan(0.01);
  });
});
