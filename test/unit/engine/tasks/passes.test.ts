import { readFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { decodePng } from '#codecs/png.ts';
import { createEngine } from '#engine/engine.ts';
import type { Runtime } from '#engine/runtime/runtime.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import type { JobProgress, GenerateJob, Pass } from '#protocol/job.ts';
import type { ModelPack } from '#protocol/model.ts';
import { imageInit, maskedInit } from '../../../support/inits.ts';
import { textToImage } from '../../../support/jobs.ts';
import { openNodeRuntime } from '../../../support/node-engine.ts';
import { compareImages, pngOf } from '../../../support/images.ts';
import { joinSources, randomTensors, tensorsOf } from '../../../support/random-weights.ts';
import { tinyModel } from '../../../support/tiny-control.ts';
import { fileOf, runToEnd, type FilledPack } from '../../../support/tiny-packs.ts';

/** What was opened and released on the runtime, in order: UNets, counted as they were opened. */
const happened: string[] = [];
let unets = 0;
let models: readonly FilledPack<ModelPack>[];
let installed: readonly ModelPack[];

/** Keeps a record of UNets' sessions. */
function watch(opened: Runtime): Runtime {
  return {
    ...opened,
    async createSession(model, options) {
      const session = await opened.createSession(model, options);
      if (!session.inputNames.includes('encoder_hidden_states')) return session;
      const name = `UNet ${String(++unets)}`;
      happened.push(`open ${name}`);
      return {
        ...session,
        async release() {
          happened.push(`release ${name}`);
          await session.release();
        },
      };
    },
  };
}

const engine = createEngine(
  async () => watch(await openNodeRuntime()),
  (pack) => {
    const files = models.find((model) => model.pack === pack)?.files ?? {};
    return (path) => Promise.resolve(files[path]);
  },
);

beforeAll(async () => {
  const small = await tinyModel();
  // As large as checkpoints are, so that two of them do not fit.
  const files = small.pack.files.map((file) => ({ ...file, sizeBytes: 500e6 }));
  const first = { ...small, pack: { ...small.pack, files } };
  const unet = readFileSync(
    new URL('../../../fixtures/models/unet-sd1/diffusion_pytorch_model.safetensors', import.meta.url),
  );
  const otherUnet = joinSources(
    tensorsOf(randomTensors({ 'conv_out.weight': [4, 16, 3, 3] })),
    await openSafetensors(new Blob([unet]), 'unet'),
  );
  const second = {
    pack: { ...first.pack, id: 'other' },
    files: { ...first.files, 'unet/model.safetensors': await fileOf(otherUnet) },
  };
  models = [first, second];
  installed = models.map(({ pack }) => pack);
});

const BASE = { prompt: 'waves', seeds: [3n], width: 64, height: 64, steps: 3, model: 'tiny' };
const SECOND: Pass = {
  model: 'other',
  size: { width: 96, height: 72 },
  steps: 4,
  strength: 0.6,
  exactSteps: true,
  guidanceScale: 5,
  sampler: { family: 'k-diffusion', sampler: 'euler_ancestral', schedule: 'karras', options: {} },
};

/** A job whose images go through a second pass. */
function twoPasses(changes: Partial<Parameters<typeof textToImage>[0]> = {}, second = SECOND): GenerateJob {
  const job = textToImage({ ...BASE, ...changes });
  return { ...job, passes: [job.passes[0], second] };
}

const only = (pngs: readonly Uint8Array[]): Uint8Array => {
  const [png] = pngs;
  if (!png || pngs.length > 1) throw new Error(`There are ${String(pngs.length)} images.`);
  return png;
};

test('a second pass with another model, size and sampler goes on from the image of the first', async () => {
  const { images, pngs } = await runToEnd(engine, installed, twoPasses());
  expect(images).toMatchObject([{ index: 0, width: 96, height: 72 }]);

  const first = only((await runToEnd(engine, installed, textToImage(BASE))).pngs);
  const onFirst: GenerateJob = {
    ...textToImage(BASE),
    init: imageInit([new Blob([new Uint8Array(first)])]),
    passes: [SECOND],
  };
  const byHand = only((await runToEnd(engine, installed, onFirst)).pngs);
  expect(compareImages(only(pngs), byHand).largest).toBe(0);

  const sameModel = await runToEnd(engine, installed, twoPasses({}, { ...SECOND, model: 'tiny' }));
  expect(compareImages(only(sameModel.pngs), byHand).mean).toBeGreaterThan(0.5);
});

test('its text tells of the first pass, and how much the second changed', async () => {
  const { images } = await runToEnd(engine, installed, twoPasses());
  expect(images[0]?.infotext).toContain('Steps: 3, ');
  expect(images[0]?.infotext).toContain('Size: 64x64, ');
  expect(images[0]?.infotext).toContain('Model: tiny, ');
  expect(images[0]?.infotext).toContain('Denoising strength: 0.6, ');
});

test('two models take turns on the device, and the progress says so', async () => {
  await engine.unload();
  happened.length = 0;
  unets = 0;
  const told: JobProgress[] = [];
  await engine.run(installed, twoPasses({ seeds: [3n, 4n] }), (event) => {
    if (event.type === 'progress') told.push(event.progress);
  });
  expect(happened).toEqual([
    'open UNet 1',
    'release UNet 1',
    'open UNet 2',
    'release UNet 2',
    'open UNet 3',
    'release UNet 3',
    'open UNet 4',
  ]);

  const changes = told
    .map(({ phase, pass, image }) => `${phase} ${String(pass)} of image ${String(image)}`)
    .filter((line, i, lines) => line !== lines[i - 1] && /^(loading|sampling)/.test(line));
  expect(changes).toEqual([
    'loading 0 of image 0',
    'sampling 0 of image 0',
    'loading 1 of image 0',
    'sampling 1 of image 0',
    'loading 0 of image 1',
    'sampling 0 of image 1',
    'loading 1 of image 1',
    'sampling 1 of image 1',
  ]);
  expect(told.slice(1).every(({ fraction }, i) => fraction >= (told[i]?.fraction ?? 0))).toBe(true);
  expect(told.at(-1)).toMatchObject({ image: 2, images: 2, passes: 2, fraction: 1 });
  const lastSteps = told.filter(({ phase, step, steps }) => phase === 'sampling' && step === steps);
  expect(lastSteps.map(({ pass, steps }) => [pass, steps])).toEqual([
    [0, 3],
    [1, 4],
    [0, 3],
    [1, 4],
  ]);
});

test('what is wrong with the second pass is said before the first is run', async () => {
  const phases = new Set<string>();
  const refused = (second: Pass) =>
    engine.run(installed, twoPasses({}, second), (event) => {
      if (event.type === 'progress') phases.add(event.progress.phase);
    });
  await expect(refused({ ...SECOND, model: 'elsewhere' })).rejects.toMatchObject({
    code: 'model_not_found',
    detail: { model: 'elsewhere' },
  });
  await expect(refused({ ...SECOND, vae: 'elsewhere' })).rejects.toMatchObject({ code: 'model_not_found' });
  await expect(refused({ ...SECOND, strength: 1.5 })).rejects.toMatchObject({ code: 'invalid_request' });
  await expect(refused({ ...SECOND, steps: 0 })).rejects.toMatchObject({ code: 'invalid_request' });
  expect([...phases]).toEqual(['loading']);
});

test.each([true, false])(
  'a job cancelled in its first pass ends there; what there is of the image is kept: %s',
  async (keepUnfinished) => {
    const sizes: number[][] = [];
    const outcome = await engine.run(installed, twoPasses({ keepUnfinished }), (event) => {
      if (event.type === 'progress' && event.progress.step === 2) engine.cancel();
      if (event.type === 'artifact') sizes.push([event.artifact.image.width, event.artifact.image.height]);
    });
    expect(outcome.interrupted).toBe(true);
    expect(sizes).toEqual(keepUnfinished ? [[64, 64]] : []);
  },
);

test('a mask holds in all passes', async () => {
  const image = (colour: readonly [number, number, number]) => pngOf(64, 64, () => colour);
  const mask = pngOf(64, 64, (x) => (x < 32 ? [0, 0, 0] : [255, 255, 255]));
  const masked = (init: Blob, passes: GenerateJob['passes']): GenerateJob => ({
    ...twoPasses(),
    init: maskedInit([init], mask),
    passes,
  });
  const [first, second] = [{ ...twoPasses().passes[0], strength: 0.8 }, SECOND];
  const grey = image([90, 100, 110]);
  const both = only((await runToEnd(engine, installed, masked(grey, [first, second]))).pngs);
  const one = only((await runToEnd(engine, installed, masked(grey, [first]))).pngs);
  const onFirst = masked(new Blob([new Uint8Array(one)]), [second]);
  expect(compareImages(both, only((await runToEnd(engine, installed, onFirst)).pngs)).largest).toBe(0);
  const whole = { ...onFirst, init: { ...onFirst.init, from: 'image' } } as GenerateJob;
  expect(compareImages(both, only((await runToEnd(engine, installed, whole)).pngs)).mean).toBeGreaterThan(
    0.5,
  );
});

test('generated images go through the post steps', async () => {
  const job = textToImage(BASE);
  const { images, pngs } = await runToEnd(engine, installed, {
    ...job,
    post: [
      { kind: 'upscale', upscaler: 'Nearest', size: { factor: 2 } },
      { kind: 'upscale', upscaler: 'Nearest', size: { width: 64, height: 128, crop: true } },
    ],
  });
  expect(images).toMatchObject([{ width: 64, height: 128 }]);
  const text = 'Postprocess upscale by: 2, Postprocess upscaler: Nearest, Postprocess upscale to: 64x128';
  expect(images[0]?.infotext).toContain(text);
  const [plain, upscaled] = [only((await runToEnd(engine, installed, job)).pngs), only(pngs)].map((png) =>
    decodePng(png),
  );
  // The middle of the image of 128 × 128, whose pixels are each there twice.
  for (const [x, y] of [
    [0, 0],
    [63, 127],
    [20, 71],
  ] as const) {
    const at = (y * 64 + x) * 3;
    const from = ((y >> 1) * 64 + ((x + 32) >> 1)) * 3;
    expect([...(upscaled?.data.slice(at, at + 3) ?? [])]).toEqual([
      ...(plain?.data.slice(from, from + 3) ?? [1]),
    ]);
  }
});
