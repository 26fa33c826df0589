import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { decodePng } from '#codecs/png.ts';
import { openAddOns } from '#engine/models/add-ons.ts';
import type { Model } from '#engine/models/model.ts';
import { createTorchCpuGenerator } from '#engine/random/torch-cpu.ts';
import type { Session, TensorValue } from '#engine/runtime/runtime.ts';
import type { GenerateJob } from '#protocol/job.ts';
import type { SamplerChoice } from '#protocol/sampler.ts';
import { imageInit, maskedInit } from '../../../support/inits.ts';
import { textToImage, withPass } from '../../../support/jobs.ts';
import { openNodeRuntime } from '../../../support/node-engine.ts';
import { relativeError } from '../../../support/relative-error.ts';
import { runOpened } from '../../../support/run-opened.ts';
import { openTinyPipeline } from '../../../support/tiny-pipeline.ts';

const FIXTURES = path.resolve(import.meta.dirname, '../../../fixtures');
const SEED = 21n;
const SIDE = 64;
const CELLS = SIDE / 8;
const LENGTH = 4 * CELLS * CELLS;
const SCALE = 0.18215;

const runtime = await openNodeRuntime();
const model = await openTinyPipeline(runtime, FIXTURES, { unet: 'unet-inpaint-9ch' });
const addOns = openAddOns([], () => () => Promise.resolve(undefined));
const encoder = await (await model.load({}, addOns)).vaeEncoder();
afterAll(async () => {
  await model.release();
  await runtime.close();
});

const fixture = (name: string) => new Uint8Array(readFileSync(path.join(FIXTURES, 'models/pipelines', name)));
const init = decodePng(fixture('init.png'));
const mask = decodePng(fixture('mask.png'));
const isMasked = (x: number, y: number) => (mask.data[(y * SIDE + x) * mask.channels] ?? 0) > 127;

const DDIM: SamplerChoice = { family: 'diffusers', scheduler: 'DDIMScheduler', config: {} };
const EULER: SamplerChoice = { family: 'k-diffusion', sampler: 'euler', schedule: 'automatic', options: {} };

const base = (sampler: SamplerChoice): GenerateJob =>
  textToImage({
    prompt: 'a cat',
    seeds: [SEED],
    steps: 5,
    guidanceScale: 5,
    width: SIDE,
    height: SIDE,
    sampler,
  });
const INIT = [new Blob([fixture('init.png')])];
const rulesOf = ({ family }: SamplerChoice) => (family === 'diffusers' ? 'diffusers' : 'a1111');
const inpaint = (sampler: SamplerChoice, strength: number): GenerateJob => ({
  ...withPass(base(sampler), { strength }),
  init: maskedInit(INIT, new Blob([fixture('mask.png')]), { rules: rulesOf(sampler) }),
});

/** What the UNet is given in each run: rows of nine channels. */
async function watch(job: GenerateJob): Promise<Float32Array[]> {
  const seen: Float32Array[] = [];
  const watched = (session: Session): Session => ({
    ...session,
    run(inputs) {
      const sample: TensorValue | undefined = inputs['sample'];
      if (sample && 'data' in sample && sample.type === 'float32') {
        const rows = sample.dims[0] ?? 0;
        expect(sample.dims).toEqual([rows, 9, CELLS, CELLS]);
        for (let row = 0; row < rows; row++)
          seen.push(sample.data.slice((row * LENGTH * 9) / 4, ((row + 1) * LENGTH * 9) / 4));
      }
      return session.run(inputs);
    },
  });
  const spied: Model = {
    ...model,
    async load(changes, installed) {
      const loaded = await model.load(changes, installed);
      return { ...loaded, unet: watched(loaded.unet) };
    },
  };
  await runOpened(runtime, spied, job, () => undefined);
  return seen;
}

/** Mean and deviation of an image's latents, scaled for the UNet; `shown` chooses its pixels, others are grey. */
async function encode(shown: (x: number, y: number) => boolean) {
  const data = Float32Array.from({ length: 3 * SIDE * SIDE }, (_, i) => {
    const [x, y] = [i % SIDE, Math.floor(i / SIDE) % SIDE];
    const value = init.data[(y * SIDE + x) * init.channels + Math.floor(i / (SIDE * SIDE))] ?? NaN;
    return shown(x, y) ? (value / 255) * 2 - 1 : 0;
  });
  const { mean, logvar } = await encoder.run({ sample: { type: 'float32', data, dims: [1, 3, SIDE, SIDE] } });
  const draw = (noise: Float32Array) =>
    noise.map(
      (value, i) => SCALE * ((mean?.data[i] ?? NaN) + Math.exp((logvar?.data[i] ?? NaN) / 2) * value),
    );
  return { draw, mean: draw(new Float32Array(LENGTH)) };
}

/** ᾱ of Stable Diffusion's training: its betas are evenly spaced in their roots. */
function cumulativeAlpha(timestep: number): number {
  const [first, last] = [Math.sqrt(0.00085), Math.sqrt(0.012)];
  let alpha = 1;
  for (let t = 0; t <= timestep; t++) alpha *= 1 - (first + ((last - first) * t) / 999) ** 2;
  return alpha;
}

const maskCells = Float32Array.from({ length: CELLS * CELLS }, (_, cell) =>
  isMasked((cell % CELLS) * 8, Math.floor(cell / CELLS) * 8) ? 1 : 0,
);
const latentsOf = (row: Float32Array | undefined) => row?.subarray(0, LENGTH) ?? new Float32Array();
const maskOf = (row: Float32Array | undefined) => row?.slice(LENGTH, LENGTH + CELLS * CELLS);
const hiddenOf = (row: Float32Array | undefined) =>
  row?.subarray(LENGTH + CELLS * CELLS) ?? new Float32Array();

test('diffusers takes the image’s latents, the noise, the masked image’s latents from the generator', async () => {
  const [whole, masked] = [await encode(() => true), await encode((x, y) => !isMasked(x, y))];
  const generator = createTorchCpuGenerator(SEED);
  const clean = whole.draw(generator.randn(LENGTH));
  const noise = generator.randn(LENGTH);
  const hidden = masked.draw(generator.randn(LENGTH));
  const rows = await watch(inpaint(DDIM, 0.6));
  // Three of five steps, with and without the prompt.
  expect(rows).toHaveLength(6);
  for (const row of rows) {
    expect(maskOf(row)).toEqual(maskCells);
    expect(relativeError(hiddenOf(row), hidden)).toBeLessThan(1e-5);
  }
  // Five steps of Stable Diffusion begin at 801, 601, 401 …
  const alpha = cumulativeAlpha(401);
  const start = clean.map((value, i) => Math.sqrt(alpha) * value + Math.sqrt(1 - alpha) * (noise[i] ?? NaN));
  expect(relativeError(latentsOf(rows[0]), start)).toBeLessThan(1e-5);
});

test('at full strength the image is not encoded, and takes nothing from the generator', async () => {
  const generator = createTorchCpuGenerator(SEED);
  const noise = generator.randn(LENGTH);
  const hidden = (await encode((x, y) => !isMasked(x, y))).draw(generator.randn(LENGTH));
  const rows = await watch(inpaint(DDIM, 1));
  expect(rows).toHaveLength(10);
  expect(relativeError(latentsOf(rows[0]), noise)).toBeLessThan(1e-6);
  expect(relativeError(hiddenOf(rows[0]), hidden)).toBeLessThan(1e-5);
});

test('A1111’s samplers begin with the seed’s first noise', async () => {
  const noise = createTorchCpuGenerator(SEED).randn(LENGTH);
  const [whole, masked] = [await encode(() => true), await encode((x, y) => !isMasked(x, y))];
  const [row] = await watch(inpaint(EULER, 1));
  expect(relativeError(hiddenOf(row), masked.mean)).toBeLessThan(1e-5);
  // Strength 1 counts as 0.999: all steps, from the highest sigma.
  const sigma = Math.sqrt(1 / cumulativeAlpha(999) - 1);
  const scale = 1 / Math.sqrt(sigma * sigma + 1);
  const start = noise.map((value, i) => scale * ((whole.mean[i] ?? NaN) + sigma * value));
  expect(relativeError(latentsOf(row), start)).toBeLessThan(1e-4);
});

test('without a mask all of the image is hidden from it', async () => {
  const nothing = await encode(() => false);
  const fromImage: GenerateJob = {
    ...withPass(base(EULER), { strength: 0.5 }),
    init: imageInit(INIT),
  };
  for (const job of [base(DDIM), fromImage]) {
    const [row] = await watch(job);
    expect(maskOf(row)?.every((value) => value === 1)).toBe(true);
    expect(relativeError(hiddenOf(row), nothing.mean)).toBeLessThan(1e-5);
  }
});
