import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { decodePng } from '#codecs/png.ts';
import { createEngine } from '#engine/engine.ts';
import type { GenerateJob, ImagePromptSpec } from '#protocol/job.ts';
import type { AddOnPack, AnyPack } from '#protocol/model.ts';
import { pngOf } from '../../../support/images.ts';
import { imageInit } from '../../../support/inits.ts';
import { textToImage } from '../../../support/jobs.ts';
import { openNodeRuntime, readFrom } from '../../../support/node-engine.ts';
import { tinyControlNet, tinyModel } from '../../../support/tiny-control.ts';
import { randomTensors, tensorsOf } from '../../../support/random-weights.ts';
import {
  clipVisionTensors,
  imagePrompt,
  referenceIpAdapter,
  tinyClipVision,
  tinyIpAdapter,
} from '../../../support/tiny-image-prompt.ts';
import { runOpened } from '../../../support/run-opened.ts';
import { addOnPack, fileOf, generate, type FilledPack } from '../../../support/tiny-packs.ts';
import { openTinyPipeline } from '../../../support/tiny-pipeline.ts';
import { includedPacks } from '../../../support/vision-engine.ts';

const model = await tinyModel();
const adapter = await referenceIpAdapter();
const vision = await tinyClipVision();
const [plus, full] = [await tinyIpAdapter('plus'), await tinyIpAdapter('full')];
const edges = await tinyControlNet();
const otherVision = await addOnPack('clip-vision', 'other-vision', await fileOf(clipVisionTensors()));
const unprojected = await addOnPack(
  'clip-vision',
  'unprojected',
  await fileOf(clipVisionTensors({ projection: null })),
);
const otherUnet = await tinyIpAdapter('plain', { attentions: [16, 16] });
const toQ = 'unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_q';
const noisy = tensorsOf(
  randomTensors({ [`${toQ}.lora_A.weight`]: [2, 32], [`${toQ}.lora_B.weight`]: [32, 2] }),
);
const installed: FilledPack<AddOnPack>[] = [
  await addOnPack('lora', 'noisy', await fileOf(noisy), { family: 'sd1' }),
  adapter,
  plus,
  full,
  vision,
  otherVision,
  unprojected,
  edges,
  { ...otherUnet, pack: { ...otherUnet.pack, id: 'other-unet' } },
  { ...adapter, pack: { ...adapter.pack, id: 'for-sdxl', family: 'sdxl' } },
];

const MODELS = path.resolve(import.meta.dirname, '../../../../public/models');

const finders: FilledPack<AddOnPack>[] = includedPacks.flatMap((pack) =>
  pack.kind === 'finder' ? [{ pack, files: {} }] : [],
);

/** Inputs of every session that was opened, in order. */
const opened: (readonly string[])[] = [];
const engine = createEngine(
  async () => {
    const runtime = await openNodeRuntime();
    return {
      ...runtime,
      async createSession(...how) {
        const session = await runtime.createSession(...how);
        opened.push(session.inputNames);
        return session;
      },
    };
  },
  (pack: AnyPack) => {
    const found = [model, ...installed].find((each) => each.pack.id === pack.id);
    return found ? (file) => Promise.resolve(found.files[file]) : readFrom(path.join(MODELS, pack.id));
  },
);
afterAll(() => engine.unload());

const red = pngOf(48, 32, (x) => (x < 24 ? [200, 30, 20] : [250, 220, 30]));
const blue = pngOf(32, 48, (_, y) => (y < 24 ? [10, 30, 200] : [20, 200, 120]));

const base = textToImage({
  prompt: 'a cat',
  negativePrompt: 'blurry',
  seeds: [5n],
  steps: 3,
  width: 64,
  height: 64,
});

async function samplesOf(changes: Partial<GenerateJob>) {
  const { pngs } = await generate(engine, model, { ...base, ...changes }, installed);
  return pngs.map((png) => decodePng(png).data);
}

async function shown(...imagePrompts: ImagePromptSpec[]) {
  const [image] = await samplesOf({ imagePrompts });
  return image;
}

/** The largest difference of a sample. */
function difference(a: ArrayLike<number> = [], b: ArrayLike<number> = []): number {
  return Array.from(a).reduce((most, sample, i) => Math.max(most, Math.abs(sample - (b[i] ?? 0))), 0);
}

const [plain] = await samplesOf({});
const reading: Promise<ArrayBuffer>[] = [];
const FIXTURES = path.resolve(import.meta.dirname, '../../../fixtures');

describe('image prompts', () => {
  it('change the image, each image in its own way, as much as they weigh', async () => {
    const [one, other, light, none] = [
      await shown(imagePrompt(red)),
      await shown(imagePrompt(blue)),
      await shown(imagePrompt(red, { weight: 0.05 })),
      await shown(imagePrompt(red, { weight: 0 })),
    ];
    expect(difference(one, plain)).toBeGreaterThan(1);
    expect(difference(one, other)).toBeGreaterThan(0);
    expect(difference(light, plain)).toBeLessThan(difference(one, plain));
    expect(none).toEqual(plain);
  });

  it.each([
    ['Plus', 'ip-plus'],
    ['Full', 'ip-full'],
  ])('go through the layout of %s', async (_, id) => {
    const one = await shown(imagePrompt(red, { id }));
    expect(difference(one, plain)).toBeGreaterThan(0);
    expect(await shown(imagePrompt(red, { id }))).toEqual(one);
  });

  it('take part from their start to their end', async () => {
    const all = await shown(imagePrompt(red));
    expect(await shown(imagePrompt(red, { start: 0.5, end: 0.6 }))).toEqual(plain);
    const beginning = await shown(imagePrompt(red, { end: 0.2 }));
    expect(beginning).not.toEqual(all);
    expect(beginning).not.toEqual(plain);
  });

  it('count where their region is white, and in the blocks that have weights', async () => {
    const region = (isWhite: (x: number) => boolean) =>
      pngOf(16, 16, (x) => (isWhite(x) ? [255, 255, 255] : [0, 0, 0]));
    const all = await shown(imagePrompt(red));
    const white = { region: region(() => true) };
    expect(difference(await shown(imagePrompt(red, white)), all)).toBeLessThanOrEqual(1);
    expect(await shown(imagePrompt(red, { region: region(() => false) }))).toEqual(plain);
    const [left, right] = [
      await shown(imagePrompt(red, { region: region((x) => x < 8) })),
      await shown(imagePrompt(red, { region: region((x) => x >= 8) })),
    ];
    for (const half of [left, right])
      for (const other of [plain, all]) expect(difference(half, other)).toBeGreaterThan(0);
    expect(left).not.toEqual(right);
    const blocks = (weight: number) => ({ layerWeights: Array.from({ length: 16 }, () => weight) });
    expect(difference(await shown(imagePrompt(red, { weight: 0.2, ...blocks(1) })), all)).toBeLessThanOrEqual(
      1,
    );
    expect(await shown(imagePrompt(red, blocks(-1)))).toEqual(plain);
    expect(await shown(imagePrompt(red, { layerWeights: [] }))).toEqual(plain);
    const passes = [{ ...base.passes[0], tiles: { size: 32, overlap: 16 } }] as const;
    const [tiled] = await samplesOf({ passes, imagePrompts: [imagePrompt(red)] });
    const [tiledWhite] = await samplesOf({ passes, imagePrompts: [imagePrompt(red, white)] });
    expect(difference(tiledWhite, tiled)).toBeLessThanOrEqual(1);
  });

  it('see another part of the image where it is stretched', async () => {
    expect(await shown(imagePrompt(red, { fit: 'stretch' }))).not.toEqual(await shown(imagePrompt(red)));
  });

  it('look at the most certain face where a face is wanted', async () => {
    const photo = new Blob([readFileSync(path.join(FIXTURES, 'small-networks/face-detector/two-faces.png'))]);
    const job = { ...base, imagePrompts: [imagePrompt(photo, { fit: 'face' })] };
    const { pngs, notes } = await generate(engine, model, job, [...installed, ...finders]);
    expect(notes).toEqual([]);
    const whole = await shown(imagePrompt(photo, { fit: 'stretch' }));
    expect(decodePng(pngs[0] ?? new Uint8Array()).data).not.toEqual(whole);
  });

  it('are used as a whole where a face is wanted and none is found', async () => {
    const job = { ...base, imagePrompts: [imagePrompt(red, { fit: 'face' })] };
    const { pngs, notes } = await generate(engine, model, job, [...installed, ...finders]);
    expect(notes).toEqual(['An image prompt of a face was used as a whole: no face was found in it.']);
    const stretched = await shown(imagePrompt(red, { fit: 'stretch' }));
    expect(decodePng(pngs[0] ?? new Uint8Array()).data).toEqual(stretched);
  });

  it('add up, through one IP-Adapter and through several, whichever comes first', async () => {
    const both = await shown(imagePrompt(red), imagePrompt(blue));
    expect(difference(await shown(imagePrompt(red)), both)).toBeGreaterThan(0);
    const halves = await shown(imagePrompt(red, { weight: 0.5 }), imagePrompt(red, { weight: 0.5 }));
    expect(difference(halves, await shown(imagePrompt(red)))).toBeLessThanOrEqual(1);
    const mixed = await shown(imagePrompt(red), imagePrompt(blue, { id: 'ip-plus' }));
    const turned = await shown(imagePrompt(blue, { id: 'ip-plus' }), imagePrompt(red));
    expect(difference(mixed, turned)).toBeLessThanOrEqual(1);
    expect(mixed).not.toEqual(both);
  });

  it('show each image of a batch the same as by itself, with guidance and without', async () => {
    const imagePrompts = [imagePrompt(red)];
    const images = [5n, 6n].map((seed) => ({
      ...(base.images[0] ?? { prompt: [], negativePrompt: [], subseed: 0n }),
      seed,
    }));
    for (const guidanceScale of [4, 1]) {
      const passes = [{ ...base.passes[0], guidanceScale }] as const;
      const together = await samplesOf({ imagePrompts, images, batchSize: 2, passes });
      const [first] = await samplesOf({ imagePrompts, passes });
      expect(together).toHaveLength(2);
      expect(difference(together[0], first)).toBeLessThanOrEqual(1);
      expect(together[0]).not.toEqual(together[1]);
    }
  });

  it('go with a LoRA, a ControlNet, a panorama, image-to-image and a second pass', async () => {
    const imagePrompts = [imagePrompt(red)];
    const control = {
      id: 'edges',
      image: blue,
      fit: 'stretch',
      preprocessor: { kind: 'none' },
      strength: 1,
      start: 0,
      end: 1,
      balance: 'even',
    } as const;
    const [pass] = base.passes;
    const prompted = await shown(imagePrompt(red));
    const second = { ...pass, size: { width: 96, height: 96 }, strength: 0.7 };
    for (const changes of [
      { loras: [{ id: 'noisy', strength: 1 }] },
      { controls: [control] },
      { passes: [{ ...pass, size: { width: 600, height: 64 }, panorama: { circular: false } }] },
      { init: imageInit([blue]), passes: [{ ...pass, strength: 0.7 }] },
      { passes: [pass, second] },
    ] as const) {
      const [without] = await samplesOf(changes);
      const [withPrompt] = await samplesOf({ ...changes, imagePrompts });
      expect(difference(without, withPrompt)).toBeGreaterThan(0);
      expect(difference(withPrompt, prompted)).toBeGreaterThan(0);
    }
  });

  it('open no network again for another prompt, and no UNet for another image', async () => {
    await shown(imagePrompt(red));
    const before = opened.length;
    await samplesOf({ imagePrompts: [imagePrompt(red, { weight: 0.3 })] });
    expect(opened.slice(before)).toEqual([]);
    await shown(imagePrompt(pngOf(40, 40, () => [1, 2, 3])));
    expect(opened.slice(before)).toEqual([['pixel_values'], ['image_embeds']]);
  });
});

it('a large UNet, which takes LoRAs as inputs, shows the same', async () => {
  const runtime = await openNodeRuntime();
  const imagePrompts = [imagePrompt(red)];
  const made: ArrayLike<number>[] = [];
  for (const foldedBytes of [undefined, 0]) {
    const own = await openTinyPipeline(runtime, FIXTURES, {
      ...(foldedBytes !== undefined && { foldedBytes }),
    });
    const files = new Map(installed.map(({ pack, files: ofPack }) => [pack.id, ofPack]));
    await runOpened(
      runtime,
      own,
      { ...base, imagePrompts },
      (event) => {
        if (event.type === 'artifact' && 'file' in event) reading.push(event.file.arrayBuffer());
      },
      [adapter.pack, vision.pack],
      ({ id }) =>
        (file) =>
          Promise.resolve(files.get(id)?.[file]),
    );
    for (const bytes of await Promise.all(reading.splice(0)))
      made.push(decodePng(new Uint8Array(bytes)).data);
    await own.release();
  }
  expect(made).toHaveLength(2);
  expect(difference(made[0], made[1])).toBeLessThanOrEqual(1);
  await runtime.close();
});

describe('image prompts are refused', () => {
  it.each([
    [
      { clipVision: 'other-vision' },
      'invalid_request',
      'The IP-Adapter “ip” does not fit the CLIP vision model “other-vision”. It needs a CLIP vision model of width 32: install that in Models.',
    ],
    [
      { id: 'other-unet' },
      'invalid_request',
      'The IP-Adapter “ip-plain” was made for a UNet of another structure. Choose another IP-Adapter.',
    ],
    [
      { id: 'for-sdxl' },
      'invalid_request',
      'The IP-Adapter “ip” has no effect: it was made for Stable Diffusion XL',
    ],
    [{ id: 'nothing' }, 'model_not_found', 'The IP-Adapter “nothing” is not installed'],
    [{ clipVision: 'nothing' }, 'model_not_found', 'The CLIP vision model “nothing” is not installed'],
    [{ clipVision: 'unprojected' }, 'invalid_request', 'does not fit the CLIP vision model “unprojected”'],
    [{ image: new Blob(['not an image']) }, 'invalid_request', 'The image cannot be read.'],
  ] as const)('with %o', async (changes, code, message) => {
    const job = { ...base, imagePrompts: [imagePrompt(red, changes)] };
    await expect(generate(engine, model, job, installed)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
    });
  });
});
