import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodePng } from '#codecs/png.ts';
import { openAddOns } from '#engine/models/add-ons.ts';
import { openPackFiles } from '#engine/models/pack-files.ts';
import { openWeightFiles } from '#engine/models/weight-files.ts';
import { openModel, type LoadedModel, type Model } from '#engine/models/model.ts';
import { prepareControlImage } from '#engine/stages/control/control-image.ts';
import { prepareControls, residualWeight } from '#engine/stages/control/control.ts';
import { createCpuDenoiser } from '#engine/stages/denoise/cpu-denoiser.ts';
import type { Runtime } from '#engine/runtime/runtime.ts';
import type { EncodedPrompt } from '#engine/text/encode.ts';
import type { PreparedInit } from '#engine/stages/init/prepared.ts';
import { createPixels, type Pixels } from '#imaging/pixels.ts';
import { AppError } from '#protocol/error.ts';
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

const noNetwork = (): Promise<Pixels> => Promise.reject(new Error('No network was expected.'));

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
    controls: await prepareControls(loaded, specs, SHAPE, noNetwork),
    evaluations,
  });
  const outputs: Float32Array[] = [];
  for (let i = 0; i < evaluations; i++) {
    const instruction = { op: 'denoise', from: 'x', to: 'y', timestep: 500, inputScale: 1 } as const;
    outputs.push((await run(LATENTS, instruction, i)).guided);
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

test('in diffusers’ guess mode shallow residuals count for a tenth, deep ones for all', () => {
  const guess = {
    isPooled: false,
    rules: 'diffusers',
    spec: { ...control({ balance: 'control' }) },
  } as const;
  const weights = [0, 1, 2].map((i) => residualWeight(guess, { unconditional: false }, i, 3));
  expect(weights[0]).toBeCloseTo(0.1);
  expect(weights[1]).toBeCloseTo(Math.sqrt(0.1));
  expect(weights[2]).toBe(1);
  expect(residualWeight(guess, { unconditional: true }, 2, 3)).toBe(0);
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
    const size = { width: 16, height: 16 };
    const { data } = await prepareControlImage(control({ image: wide, ...spec }), {
      size,
      rules: 'a1111',
      makeMap: noNetwork,
    });
    return [0, 1, 2].map((channel) => Math.round(255 * (data[(channel * 16 + y) * 16 + x] ?? NaN)));
  };

  test('is stretched, cut, or placed on the colour of its border', async () => {
    expect(await pixelAt({ fit: 'stretch' }, 1, 8)).toEqual([10, 20, 30]);
    expect(await pixelAt({ fit: 'stretch' }, 14, 8)).toEqual([200, 100, 0]);
    // The middle 16 columns: half of each colour.
    expect(await pixelAt({ fit: 'cover' }, 0, 0)).toEqual([10, 20, 30]);
    // Above and below the image, which is 16 × 8 now. Its border is half of each colour: the median lies between them.
    expect(await pixelAt({ fit: 'contain' }, 1, 0)).toEqual([105, 60, 15]);
    expect(await pixelAt({ fit: 'contain' }, 1, 8)).toEqual([10, 20, 30]);
  });

  test('can be inverted', async () => {
    expect(await pixelAt({ preprocessor: { kind: 'invert' } }, 1, 8)).toEqual([245, 235, 225]);
  });

  test('can be searched for edges: those of a square are one closed line', async () => {
    const { data } = await prepareControlImage(
      control({ preprocessor: { kind: 'canny', low: 100, high: 200 } }),
      { size: { width: 64, height: 64 }, rules: 'a1111', makeMap: noNetwork },
    );
    const edge = (x: number, y: number) => data[y * 64 + x] === 1;
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
      { size: { width: 20, height: 20 }, rules: 'a1111', makeMap: noNetwork },
    );
    expect(data.every((value) => value === 0)).toBe(true);
  });
});

describe('where there is an init image', () => {
  const grey = (sample: number): Pixels => createPixels({ width: 16, height: 16 }, 3, sample);
  const shown: Pixels = {
    ...createPixels({ width: 16, height: 16 }, 1),
    data: Uint8ClampedArray.from({ length: 256 }, (_, i) => (i % 16 < 8 ? 0 : 255)),
  };
  const init = (changes: Partial<PreparedInit> = {}): PreparedInit => ({
    image: grey(102),
    stretchesLatents: false,
    mask: { shown, isRound: true, cells: () => new Float32Array(4) },
    finish: (image) => Promise.resolve({ image }),
    ...changes,
  });
  const target = { size: { width: 16, height: 16 }, rules: 'a1111', makeMap: noNetwork } as const;
  const without = { fit: 'stretch', preprocessor: { kind: 'none' } } as const;

  test('it is the control image by default', async () => {
    const { data } = await prepareControlImage(without, { ...target, init: init() });
    expect([...new Set(data)]).toEqual([Math.fround(102 / 255)]);
    await expect(prepareControlImage(without, target)).rejects.toMatchObject({ code: 'invalid_request' });
  });

  test('a ControlNet for inpainting sees −1 where it is masked', async () => {
    const spec = { ...without, preprocessor: { kind: 'inpaint' } } as const;
    const { data } = await prepareControlImage(spec, { ...target, init: init() });
    expect([data[0], data[7], data[8], data[15]]).toEqual([Math.fround(0.4), Math.fround(0.4), -1, -1]);
    const unmasked = await prepareControlImage(spec, { ...target, init: init({ mask: null }) });
    expect(unmasked.data.every((value) => value > 0)).toBe(true);
  });

  test('only the part of the control image counts that belongs to the region', async () => {
    const halves = pngOf(32, 32, (x) => (x < 16 ? [0, 0, 0] : [255, 255, 255]));
    const region = { x1: 16, y1: 0, x2: 32, y2: 16 };
    const { data } = await prepareControlImage(
      { ...without, image: halves },
      { ...target, init: init({ region }) },
    );
    expect(data.every((value) => value === 1)).toBe(true);
  });
});

describe('an inpainting ControlNet with an image of its own', () => {
  const image = pngOf(32, 16, (x) => (x < 16 ? [102, 102, 102] : [51, 51, 51]));
  const mask = pngOf(32, 16, (x) => (x < 8 ? [255, 255, 255] : [0, 0, 0]));
  const spec = { image, mask, fit: 'stretch', preprocessor: { kind: 'inpaint' } } as const;
  const target = { size: { width: 64, height: 32 }, rules: 'a1111', makeMap: noNetwork } as const;

  test('sees −1 where its mask is white, brought to size like the image', async () => {
    const { data, width } = await prepareControlImage(spec, target);
    expect(width).toBe(64);
    const row = [...data.subarray(0, 64)];
    expect(row.slice(0, 15).every((value) => value === -1)).toBe(true);
    expect(row.slice(17).every((value) => value > 0)).toBe(true);
    const unmasked = { image, fit: spec.fit, preprocessor: spec.preprocessor };
    expect((await prepareControlImage(unmasked, target)).data.every((value) => value > 0)).toBe(true);
  });

  test('sees nothing on borders that are added', async () => {
    const square = { ...target, size: { width: 32, height: 32 } };
    const { data } = await prepareControlImage({ ...spec, fit: 'contain' }, square);
    const column = Array.from({ length: 32 }, (_, y) => data[y * 32 + 31] ?? NaN);
    expect(column.slice(0, 8).every((value) => value === -1)).toBe(true);
    expect(column.slice(8, 24).every((value) => value > 0)).toBe(true);
  });

  test('with a mask of another size is refused', async () => {
    const wrong = prepareControlImage({ ...spec, mask: pngOf(8, 8, () => [0, 0, 0]) }, target);
    await expect(wrong).rejects.toMatchObject({ code: 'invalid_request' });
  });

  test('keeps what is around the mask, in each step and in the result, where it restores', async () => {
    const engine = engineFor([model, edges]);
    const photo = pngOf(64, 64, (x, y) => [x * 4, y * 4, 128]);
    const half = pngOf(64, 64, (x) => (x < 32 ? [255, 255, 255] : [0, 0, 0]));
    const pngWith = async (changes: Partial<ControlSpec>) => {
      const job: GenerateJob = {
        ...textToImage({ prompt: 'a cat', seeds: [7n], width: 64, height: 64, steps: 3 }),
        controls: [control({ image: photo, mask: half, ...changes })],
      };
      return decodePng((await generate(engine, model, job, [edges])).pngs[0] ?? new Uint8Array());
    };
    const original = decodePng(new Uint8Array(await photo.arrayBuffer()));
    const distances = ({ data, channels }: typeof original, from: number, to: number) =>
      Array.from({ length: 64 * (to - from) }, (_, i) => {
        const at = Math.floor(i / (to - from)) * 64 + from + (i % (to - from));
        return Math.abs((data[at * channels] ?? 0) - (original.data[at * original.channels] ?? 0));
      });
    const restored = await pngWith({ preprocessor: { kind: 'inpaint', restores: true } });
    const harmonious = await pngWith({ preprocessor: { kind: 'inpaint' } });
    // The mask grows by three pixels and fades over six.
    expect(Math.max(...distances(restored, 38, 64))).toBe(0);
    expect(Math.max(...distances(harmonious, 38, 64))).toBeGreaterThan(0);
    expect(Math.max(...distances(restored, 0, 24))).toBeGreaterThan(8);
    // With half of its weight, half of it is put back in each step.
    const weak = await pngWith({ preprocessor: { kind: 'inpaint', restores: true }, strength: 0.5 });
    expect(distances(weak, 0, 24)).not.toEqual(distances(restored, 0, 24));
    await engine.unload();
  });
});

describe('parts of a ControlNet', () => {
  const region = (of: (x: number, y: number) => boolean) =>
    pngOf(64, 64, (x, y) => (of(x, y) ? [255, 255, 255] : [0, 0, 0]));

  test('a region is where it counts', async () => {
    const loaded = await load();
    const [everywhere] = await denoise(loaded, [control()]);
    const [nowhere] = await denoise(loaded, [control({ strength: 0 })]);
    const [white] = await denoise(loaded, [control({ region: region(() => true) })]);
    const [black] = await denoise(loaded, [control({ region: region(() => false) })]);
    const [half] = await denoise(loaded, [control({ region: region((x) => x < 32) })]);
    expect(white).toEqual(everywhere);
    expect(black).toEqual(nowhere);
    expect(relativeError(half ?? new Float32Array(), everywhere ?? new Float32Array())).toBeGreaterThan(1e-4);
    expect(relativeError(half ?? new Float32Array(), nowhere ?? new Float32Array())).toBeGreaterThan(1e-4);
  });

  test('weights by layer take the place of its own', async () => {
    const loaded = await load();
    const layerWeights = [0.1, 0.7, 0.2, 0.9];
    const [weighed] = await denoise(loaded, [control({ layerWeights, balance: 'prompt', strength: 0.3 })]);
    const expected = await byHand(loaded, 1, (residual) => layerWeights[residual] ?? 0);
    expect(relativeError(weighed ?? new Float32Array(), expected)).toBeLessThan(1e-5);
  });

  test('one pass of two is all it takes part in', async () => {
    const engine = engineFor([model, edges]);
    const single = textToImage({ prompt: 'a cat', seeds: [7n], width: 64, height: 64, steps: 2 });
    const second = { ...single.passes[0], strength: 0.5 };
    const png = async (changes: Partial<ControlSpec> | null) => {
      const job: GenerateJob = {
        ...single,
        passes: [single.passes[0], second],
        ...(changes && { controls: [control(changes)] }),
      };
      return (await generate(engine, model, job, [edges])).pngs[0] ?? new Uint8Array();
    };
    const images = [
      await png(null),
      await png({ passes: 'first' }),
      await png({ passes: 'later' }),
      await png({}),
    ];
    for (const [index, image] of images.entries()) {
      for (const other of images.slice(index + 1))
        expect(compareImages(image, other).largest).toBeGreaterThan(0);
    }
    await engine.unload();
  });
});

describe('preprocessors by name', () => {
  const spec = (name: string): Pick<ControlSpec, 'image' | 'fit' | 'preprocessor'> => ({
    image: pngOf(64, 64, (x) => (x < 32 ? [10, 20, 30] : [240, 230, 220])),
    fit: 'stretch',
    preprocessor: { kind: 'module', name, resolution: 64, thresholdA: 100, thresholdB: 200 },
  });
  const target = { size: { width: 32, height: 32 }, rules: 'a1111', makeMap: noNetwork } as const;

  test('look at the image before it is brought to size', async () => {
    const { data, width } = await prepareControlImage(spec('threshold'), target);
    expect(width).toBe(32);
    expect([data[0], data[31]]).toEqual([0, 1]);
    const canny = await prepareControlImage(spec('canny'), target);
    expect(canny.data.some((value) => value === 1)).toBe(true);
    expect(canny.data[0]).toBe(0);
  });

  test('that do not exist are refused', async () => {
    await expect(prepareControlImage(spec('openpose'), target)).rejects.toMatchObject({
      code: 'invalid_request',
    });
  });

  test('that run a network make their map of the whole image, which is brought to size then', async () => {
    const asked: unknown[] = [];
    const preprocessor = { kind: 'openpose', resolution: 96 } as const;
    const { data, width } = await prepareControlImage(control({ preprocessor }), {
      ...target,
      makeMap(wanted, { width: across, height: down, channels }) {
        asked.push(wanted, [across, down, channels]);
        return Promise.resolve(createPixels({ width: 96, height: 96 }, 3, 255));
      },
    });
    expect(asked).toEqual([preprocessor, [64, 64, 3]]);
    expect([width, data.every((value) => value === 1)]).toEqual([32, true]);
  });
});

test('rows one by one make what they make together', async () => {
  const loaded = await load();
  const network = {
    unet: loaded.unet,
    shape: SHAPE,
    prompts: [PROMPT, PROMPT],
    guidanceScale: 5,
    controls: await prepareControls(loaded, [control()], SHAPE, noNetwork),
    evaluations: 1,
  };
  const instruction = { op: 'denoise', from: 'x', to: 'y', timestep: 500, inputScale: 1 } as const;
  const two = Float32Array.from([...LATENTS, ...pseudoRandom(LENGTH, 4)]);
  const together = await createCpuDenoiser(network)(two, instruction, 0);
  const oneByOne = await createCpuDenoiser({ ...network, rowsPerRun: 1 })(two, instruction, 0);
  expect(relativeError(oneByOne.guided, together.guided)).toBeLessThan(1e-5);
});

test('rows that do not fit together go one by one', async () => {
  const loaded = await load();
  const counts: number[] = [];
  // What ONNX Runtime says on a machine with memory for one row.
  const scarce = {
    ...loaded.unet,
    run(inputs: Parameters<typeof loaded.unet.run>[0]) {
      const rows = inputs['sample']?.dims[0] ?? 0;
      counts.push(rows);
      if (rows > 1) return Promise.reject(new AppError('out_of_memory', 'Not enough memory.'));
      return loaded.unet.run(inputs);
    },
  };
  const network = {
    shape: SHAPE,
    prompts: [PROMPT],
    guidanceScale: 5,
    controls: await prepareControls(loaded, [control()], SHAPE, noNetwork),
    evaluations: 2,
  };
  const instruction = { op: 'denoise', from: 'x', to: 'y', timestep: 500, inputScale: 1 } as const;
  const run = createCpuDenoiser({ ...network, unet: scarce });
  const expected = await createCpuDenoiser({ ...network, unet: loaded.unet })(LATENTS, instruction, 0);
  for (const call of [0, 1]) {
    const { guided } = await run(LATENTS, instruction, call);
    expect(relativeError(guided, expected.guided)).toBeLessThan(1e-5);
  }
  expect(counts).toEqual([2, 1, 1, 1, 1]);
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
