import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodePng } from '#codecs/png.ts';
import { openAddOns } from '#engine/models/add-ons.ts';
import { openPackFiles } from '#engine/models/pack-files.ts';
import { openWeightFiles } from '#engine/models/weight-files.ts';
import { openModel, type LoadedModel, type Model } from '#engine/models/model.ts';
import { prepareControlImage, prepareControls } from '#engine/stages/control/control.ts';
import { createCpuDenoiser } from '#engine/stages/denoise/cpu-denoiser.ts';
import type { Runtime } from '#engine/runtime/runtime.ts';
import type { EncodedPrompt } from '#engine/text/encode.ts';
import type { EngineWorker } from '#protocol/engine-worker.ts';
import type { ControlSpec, GenerateJob } from '#protocol/job.ts';
import type { AddOnPack, ModelPack } from '#protocol/model.ts';
import { textToImage } from '../../../support/jobs.ts';
import { openNodeRuntime } from '../../../support/node-engine.ts';
import { compareImages, pngOf } from '../../../support/images.ts';
import { pseudoRandom } from '../../../support/random-weights.ts';
import { relativeError } from '../../../support/relative-error.ts';
import { tinyControlNetFile } from '../../../support/tiny-checkpoint.ts';
import { tinyControlNet, tinyModel } from '../../../support/tiny-control.ts';
import { addOnPack, engineFor, modelPack, generate, type FilledPack } from '../../../support/tiny-packs.ts';

const SHAPE = { channels: 4, height: 8, width: 8 };
const LENGTH = 4 * 8 * 8;

/** A square of lines, black on white. */
const SQUARE = pngOf(64, 64, (x, y) =>
  x >= 16 && x < 48 && y >= 16 && y < 48 ? [0, 0, 0] : [255, 255, 255],
);

const control = (changes: Partial<ControlSpec> = {}): ControlSpec => ({
  id: 'edges',
  image: SQUARE,
  fit: 'stretch',
  preprocessor: { kind: 'none' },
  strength: 1,
  start: 0,
  end: 1,
  balance: 'even',
  ...changes,
});

let model: FilledPack<ModelPack>;
let edges: FilledPack<AddOnPack>;
let runtime: Runtime;
let opened: Model;

beforeAll(async () => {
  model = await tinyModel();
  edges = await tinyControlNet();
  runtime = await openNodeRuntime();
  opened = await openModel(model.pack, runtime, (path) => Promise.resolve(model.files[path]));
});
afterAll(() => runtime.close());

const load = (): Promise<LoadedModel> =>
  opened.load(
    { controlNets: [edges.pack] },
    openAddOns([edges.pack], () => (path) => Promise.resolve(edges.files[path])),
  );

/** A prompt and what leads away from it, as the text encoder might have written them. */
const context = (seed: number) => ({
  data: pseudoRandom(77 * 32, seed),
  tokens: 77,
  width: 32,
  pooled: null,
});
const PROMPT: EncodedPrompt = {
  conditioningAt: () => ({ positive: [{ context: context(1), weight: 1 }], negative: context(2) }),
};

const LATENTS = pseudoRandom(LENGTH, 3);

/** The guided output of the evaluations of a run. */
async function denoise(
  loaded: LoadedModel,
  specs: readonly ControlSpec[],
  { guidanceScale = 1, evaluations = 1 } = {},
): Promise<Float32Array[]> {
  const run = createCpuDenoiser({
    unet: loaded.unet,
    shape: SHAPE,
    prompts: [PROMPT],
    guidanceScale,
    controls: await prepareControls(loaded, specs, SHAPE),
    evaluations,
  });
  const outputs: Float32Array[] = [];
  for (let i = 0; i < evaluations; i++) {
    const instruction = { op: 'denoise', from: 'x', to: 'y', timestep: 500, inputScale: 1 } as const;
    outputs.push((await run(LATENTS, instruction)).guided);
  }
  return outputs;
}

/** The same by hand: what the ControlNet answers, times these weights, put into the UNet. */
async function byHand(
  { unet, controlNets: [controlNet] }: LoadedModel,
  text: number,
  weightOf: (residual: number, count: number) => number,
): Promise<Float32Array> {
  const net = controlNet?.session;
  if (!net) throw new Error('There is no ControlNet.');
  const { width, height, channels, data } = decodePng(new Uint8Array(await SQUARE.arrayBuffer()));
  const planes = Float32Array.from(
    { length: 3 * width * height },
    (_, i) => (data[(i % (width * height)) * channels + Math.floor(i / (width * height))] ?? 0) / 255,
  );
  const inputs = {
    sample: { type: 'float32', data: LATENTS, dims: [1, 4, 8, 8] },
    timestep: { type: 'float32', data: Float32Array.of(500), dims: [1] },
    encoder_hidden_states: { type: 'float32', data: context(text).data, dims: [1, 77, 32] },
  } as const;
  const residuals = await net.run({
    ...inputs,
    controlnet_cond: { type: 'float32', data: planes, dims: [1, 3, height, width] },
    conditioning_scale: { type: 'float32', data: Float32Array.of(1), dims: [1] },
  });
  const names = net.outputNames;
  const added = names.map((name, i) => {
    const { data: values = new Float32Array(), dims = [] } = residuals[name] ?? {};
    const weight = weightOf(i, names.length);
    return [
      name.replace('_residual', '_additional_residual'),
      { type: 'float32', data: values.map((value) => weight * value), dims },
    ] as const;
  });
  const { out_sample: output } = await unet.run({ ...inputs, ...Object.fromEntries(added) });
  return output?.data ?? new Float32Array();
}

describe('a ControlNet', () => {
  test('adds its residuals, as strongly as asked, to those of the UNet', async () => {
    const loaded = await load();
    for (const strength of [1, 0.5, 0]) {
      const [output = new Float32Array()] = await denoise(loaded, [control({ strength })]);
      expect(relativeError(output, await byHand(loaded, 1, () => strength))).toBeLessThan(1e-5);
    }
    const [plain = new Float32Array()] = await denoise(loaded, [control({ strength: 0 })]);
    const [steered = new Float32Array()] = await denoise(loaded, [control()]);
    expect(relativeError(steered, plain)).toBeGreaterThan(0.01);
  });

  test('twice at half its strength is the same as once', async () => {
    const loaded = await opened.load(
      { controlNets: [edges.pack, edges.pack] },
      openAddOns([edges.pack], () => (path) => Promise.resolve(edges.files[path])),
    );
    const half = control({ strength: 0.5 });
    const [twice = new Float32Array()] = await denoise(loaded, [half, half]);
    expect(relativeError(twice, await byHand(loaded, 1, () => 1))).toBeLessThan(1e-5);
  });

  test('takes part in its share of the run only', async () => {
    const loaded = await load();
    const outputs = await denoise(loaded, [control({ start: 0.3, end: 0.6 })], { evaluations: 5 });
    const [on, off] = [await byHand(loaded, 1, () => 1), await byHand(loaded, 1, () => 0)];
    // A fifth, two fifths … of the run are over: 0, 0.2, 0.4, 0.6, 0.8.
    const isOn = outputs.map((output) => relativeError(output, on) < relativeError(output, off));
    expect(isOn).toEqual([false, false, true, true, false]);
  });

  test('yields to the prompt, or stays out of what guidance leads away from', async () => {
    const loaded = await load();
    const soft = (index: number, count: number) => 0.825 ** (count - 1 - index);
    const guided = (positive: Float32Array, negative: Float32Array) =>
      positive.map((value, i) => (negative[i] ?? 0) + 4 * (value - (negative[i] ?? 0)));
    const ways = {
      even: [() => 1, () => 1],
      prompt: [soft, soft],
      control: [soft, () => 0],
    } as const;
    for (const balance of ['even', 'prompt', 'control'] as const) {
      const [output = new Float32Array()] = await denoise(loaded, [control({ balance })], {
        guidanceScale: 4,
      });
      const [forPrompt, forNegative] = ways[balance];
      const expected = guided(await byHand(loaded, 1, forPrompt), await byHand(loaded, 2, forNegative));
      expect(relativeError(output, expected)).toBeLessThan(1e-5);
    }
  });
});

test('a ControlNet that looks at the whole has no part in what guidance leads away from', async () => {
  const whole = await tinyControlNet('shuffle', { global_pool_conditions: true });
  const loaded = await opened.load(
    { controlNets: [whole.pack] },
    openAddOns([whole.pack], () => (path) => Promise.resolve(whole.files[path])),
  );
  const [output = new Float32Array()] = await denoise(loaded, [control()], { guidanceScale: 4 });
  const [positive, negative] = [await byHand(loaded, 1, () => 1), await byHand(loaded, 2, () => 0)];
  const expected = positive.map((value, i) => (negative[i] ?? 0) + 4 * (value - (negative[i] ?? 0)));
  expect(relativeError(output, expected)).toBeLessThan(1e-5);
});

test('of a single file the name tells that it looks at the whole', async () => {
  const file = await tinyControlNetFile();
  for (const [id, pooled] of [
    ['control_v11e_sd15_shuffle', true],
    ['control_v11p_sd15_canny', undefined],
  ] as const) {
    const { pack, files } = await addOnPack('controlnet', id, file);
    const inside = openPackFiles(pack, (path) => Promise.resolve(files[path]));
    const { networks } = await openWeightFiles(pack, inside, 'sd1');
    expect(networks.get('controlnet')?.config['global_pool_conditions']).toBe(pooled);
  }
});

describe('the control image', () => {
  const wide = pngOf(32, 16, (x) => (x < 16 ? [10, 20, 30] : [200, 100, 0]));
  const pixelAt = async (spec: Partial<ControlSpec>, x: number, y: number) => {
    const { width, data } = await prepareControlImage(control({ image: wide, ...spec }), {
      width: 16,
      height: 16,
    });
    return [...data.subarray((y * width + x) * 4, (y * width + x) * 4 + 3)];
  };

  test('is stretched, cut, or placed on the colour of its border', async () => {
    expect(await pixelAt({ fit: 'stretch' }, 1, 8)).toEqual([10, 20, 30]);
    expect(await pixelAt({ fit: 'stretch' }, 14, 8)).toEqual([200, 100, 0]);
    // The middle 16 columns: half of each colour.
    expect(await pixelAt({ fit: 'cover' }, 0, 0)).toEqual([10, 20, 30]);
    // Above and below the image, which is 16 × 8 now. Its border is half of each colour: of each channel the larger.
    expect(await pixelAt({ fit: 'contain' }, 1, 0)).toEqual([200, 100, 30]);
    expect(await pixelAt({ fit: 'contain' }, 1, 8)).toEqual([10, 20, 30]);
  });

  test('can be inverted', async () => {
    expect(await pixelAt({ preprocessor: { kind: 'invert' } }, 1, 8)).toEqual([245, 235, 225]);
  });

  test('can be searched for edges: those of a square are one closed line', async () => {
    const { data } = await prepareControlImage(
      control({ preprocessor: { kind: 'canny', low: 100, high: 200 } }),
      {
        width: 64,
        height: 64,
      },
    );
    const edge = (x: number, y: number) => data[(y * 64 + x) * 4] === 255;
    const places = Array.from({ length: 64 * 64 }, (_, i) => [i % 64, Math.floor(i / 64)] as const).filter(
      ([x, y]) => edge(x, y),
    );
    expect(places.length).toBeGreaterThan(4 * 30);
    expect(places.length).toBeLessThan(4 * 36);
    const distance = (at: number) => Math.min(Math.abs(at - 15.5), Math.abs(at - 47.5));
    for (const [x, y] of places) expect(Math.min(distance(x), distance(y))).toBeLessThan(1.6);
    // Each place of the line has a neighbour on both sides.
    for (const [x, y] of places) {
      const neighbours = places.filter(([a, b]) => Math.max(Math.abs(a - x), Math.abs(b - y)) === 1);
      expect(neighbours.length).toBeGreaterThanOrEqual(2);
    }
  });

  test('of one colour has no edges', async () => {
    const flat = pngOf(20, 20, () => [120, 130, 140]);
    const { data } = await prepareControlImage(
      control({ image: flat, preprocessor: { kind: 'canny', low: 100, high: 200 } }),
      {
        width: 20,
        height: 20,
      },
    );
    expect(data.every((value, i) => value === (i % 4 === 3 ? 255 : 0))).toBe(true);
  });
});

describe('a job with control', () => {
  const packs: FilledPack<AddOnPack | ModelPack>[] = [];
  let engine: EngineWorker;
  beforeAll(() => {
    packs.push(model, edges);
    engine = engineFor(packs);
  });
  afterAll(() => engine.unload());

  const job = (controls: readonly ControlSpec[]): GenerateJob => ({
    ...textToImage({ prompt: 'a square', seeds: [7n, 8n], width: 64, height: 64, steps: 3, batchSize: 2 }),
    controls,
  });

  test('generates another image than without, and the same again', async () => {
    const plain = await generate(engine, model, job([]), [edges]);
    const steered = await generate(engine, model, job([control()]), [edges]);
    const again = await generate(engine, model, job([control()]), [edges]);
    for (const index of [0, 1]) {
      const [a, b, c] = [plain, steered, again].map(({ pngs }) => pngs[index] ?? new Uint8Array());
      if (!a || !b || !c) throw new Error('There is no image.');
      expect(compareImages(a, b).mean).toBeGreaterThan(1);
      expect(compareImages(b, c).largest).toBe(0);
    }
  });

  test('is refused before anything is generated when its ControlNet is not there or does not fit', async () => {
    await expect(generate(engine, model, job([control({ id: 'none' })]), [edges])).rejects.toMatchObject({
      code: 'model_not_found',
    });
    const foreign = await addOnPack('controlnet', 'foreign', new Blob(['x']), { family: 'sdxl' });
    packs.push(foreign);
    await expect(generate(engine, model, job([control({ id: 'foreign' })]), [foreign])).rejects.toMatchObject(
      {
        code: 'invalid_request',
        message: expect.stringContaining('Stable Diffusion XL') as string,
      },
    );
    const finished = await modelPack(
      { 'unet/model.onnx': new Blob(['x']) },
      { id: 'finished', weights: 'onnx' },
    );
    packs.push(finished);
    await expect(generate(engine, finished, job([control()]), [edges])).rejects.toMatchObject({
      code: 'unsupported_feature',
    });
    const start = (await SQUARE.arrayBuffer()).slice(0, 60);
    const noImage = control({ image: new Blob([start]) });
    await expect(generate(engine, model, job([noImage]), [edges])).rejects.toMatchObject({
      code: 'invalid_request',
    });
  });
});
