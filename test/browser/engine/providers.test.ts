import { afterAll, expect, test, vi } from 'vitest';
import { buildControlNet } from '#engine/architectures/controlnet.ts';
import { buildUnet2dCondition } from '#engine/architectures/unet-2d-condition.ts';
import { freeFeatures, withDeepCache, type DeepFeatures } from '#engine/models/deep-cache.ts';
import type { Control } from '#engine/stages/control/control.ts';
import { openSamplingRun, type BatchStart } from '#engine/stages/denoise/sampling-run.ts';
import { latentLength, type LatentShape } from '#engine/stages/denoise/unet.ts';
import { createNoiseStream } from '#engine/random/latent-noise.ts';
import type { Runtime, Session, TensorValue } from '#engine/runtime/runtime.ts';
import { execute } from '#engine/samplers/execute.ts';
import { createGpuArithmetic } from '#engine/samplers/gpu-arithmetic.ts';
import { planSampling } from '#engine/samplers/index.ts';
import type { SamplingStart } from '#engine/samplers/sampling-plan.ts';
import type { Context, EncodedPrompt } from '#engine/text/encode.ts';
import type { SamplerChoice } from '#protocol/sampler.ts';
import { openBrowserRuntime, openFixture, openGraph } from '../../support/browser-engine.ts';
import { pseudoRandom } from '../../support/random-weights.ts';
import { relativeError } from '../../support/relative-error.ts';

const SHAPE: LatentShape = { channels: 4, height: 4, width: 4 };
const LENGTH = latentLength(SHAPE);
const IMAGES = [5n, 6n];
const STEPS = 3;
/** Between the UNet's latents and the VAE's. */
const SCALE = 0.18215;

const context = (seed: number): Context => ({
  data: pseudoRandom(7 * 32, seed),
  tokens: 7,
  width: 32,
  pooled: null,
});
const prompts: EncodedPrompt[] = IMAGES.map((_, image) => {
  const conditioning = { positive: [{ context: context(image + 2), weight: 1 }], negative: context(1) };
  return { conditioningAt: () => conditioning };
});

const runtimes = { wasm: await openBrowserRuntime('wasm'), gpu: await openBrowserRuntime('webgpu') };
afterAll(async () => {
  await runtimes.wasm.close();
  await runtimes.gpu.close();
});

interface Opened {
  runtime: Runtime;
  unet: Session;
}

/** A UNet of the fixtures on both runtimes. */
async function open(name: string): Promise<Record<keyof typeof runtimes, Opened>> {
  const network = await openFixture(name);
  const graph = buildUnet2dCondition(network.config, {
    weights: network.weights,
    // Each image with and without its prompt, in one run.
    size: { batch: 2 * IMAGES.length, height: SHAPE.height, width: SHAPE.width },
  });
  const on = async (runtime: Runtime, requireProvider: boolean) => ({
    runtime,
    unet: await openGraph(runtime, graph, network, { requireProvider }),
  });
  return { wasm: await on(runtimes.wasm, false), gpu: await on(runtimes.gpu, true) };
}

const { wasm, gpu } = await open('unet-sd1');

const kDiffusion = (sampler: string): SamplerChoice => ({
  family: 'k-diffusion',
  sampler,
  schedule: 'automatic',
  options: {},
});

/** Draws both images and hands over the latents of each. */
async function draw<T>(
  { runtime, unet }: Opened,
  choice: SamplerChoice,
  take: (latents: TensorValue) => T | Promise<T>,
  [from, image]: readonly [SamplingStart, Omit<BatchStart, 'noise'>] = [{ from: 'noise' }, {}],
  controls: readonly Control[] = [],
  refiner?: { unet: Session; fromCall: number },
): Promise<T[]> {
  const plan = planSampling(choice, { schedulerConfig: { prediction_type: 'epsilon' } }, STEPS, from);
  const noise = createNoiseStream(
    { source: 'torch-cpu', subseedStrength: 0, etaNoiseSeedDelta: 0 },
    IMAGES.map((seed) => ({ seed, subseed: 0n })),
    [SHAPE.channels, SHAPE.height, SHAPE.width],
    8,
  );
  const networkOf = (session: Session) => ({
    unet: session,
    shape: SHAPE,
    controls,
    evaluations: plan.evaluations,
    prompts,
    guidanceScale: 4,
  });
  const run = openSamplingRun(runtime.device, {
    network: networkOf(unet),
    ...(refiner && {
      next: { fromCall: refiner.fromCall, open: () => Promise.resolve(networkOf(refiner.unet)) },
    }),
    start: { ...image, noise: noise.first() },
    nextNoise: () => noise.next(),
    show: () => Promise.resolve(),
  });
  try {
    await execute(plan.program(), run.machine);
    const taken: T[] = [];
    for (const index of IMAGES.keys()) taken.push(await take(run.result(index, SCALE)));
    return taken;
  } finally {
    run.close();
  }
}

function inMemory(latents: TensorValue): Float32Array {
  if (!('data' in latents) || latents.type !== 'float32') throw new Error('The latents are not in memory.');
  return latents.data;
}

function download(latents: TensorValue): Promise<Float32Array> {
  const { device } = runtimes.gpu;
  if (!device || !('buffer' in latents)) throw new Error('The latents are not on the GPU.');
  return createGpuArithmetic(device).download(latents.buffer, LENGTH);
}

test('the runtimes are what was asked for', () => {
  expect(runtimes.wasm.backend).toMatchObject({ provider: 'wasm', build: 'wasm' });
  expect(runtimes.gpu.backend.provider).toBe('webgpu');
});

// One adds noise on the way, one wants the output without guidance as well.
test.each(['euler_ancestral', 'ddim_cfgpp'])(
  '%s draws the same latents on wasm and on WebGPU',
  async (sampler) => {
    const expected = await draw(wasm, kDiffusion(sampler), inMemory);
    const actual = await draw(gpu, kDiffusion(sampler), download);
    for (const [image, latents] of expected.entries()) {
      expect(latents.every(Number.isFinite)).toBe(true);
      expect(relativeError(actual[image] ?? new Float32Array(), latents)).toBeLessThan(1e-3);
    }
    expect(
      relativeError(expected[1] ?? new Float32Array(), expected[0] ?? new Float32Array()),
    ).toBeGreaterThan(0.1);
  },
);

const INIT = pseudoRandom(IMAGES.length * LENGTH, 9);
/** The left half stays. */
const MASK = INIT.map((_, i) => (i % SHAPE.width < SHAPE.width / 2 ? 0 : 1));
const MASKED: SamplingStart = { from: 'init', strength: 0.7, masked: true };

test.each([
  kDiffusion('euler_ancestral'),
  kDiffusion('ddim'),
  { family: 'diffusers', scheduler: 'HeunDiscreteScheduler', config: {} },
] as const)('a part generated again is the same on wasm and on WebGPU: %o', async (choice) => {
  const start = [MASKED, { init: INIT, mask: MASK }] as const;
  const expected = await draw(wasm, choice, inMemory, start);
  const actual = await draw(gpu, choice, download, start);
  for (const [image, latents] of expected.entries()) {
    expect(relativeError(actual[image] ?? new Float32Array(), latents)).toBeLessThan(1e-3);
    const kept = INIT.subarray(image * LENGTH, (image + 1) * LENGTH).map((value) => value / SCALE);
    const [inside, outside] = [1, 0].map((side) => (_: number, i: number) => MASK[i] === side);
    if (!inside || !outside) continue;
    for (const drawn of [latents, actual[image] ?? latents]) {
      expect(relativeError(drawn.filter(outside), kept.filter(outside))).toBeLessThan(1e-6);
      expect(relativeError(drawn.filter(inside), kept.filter(inside))).toBeGreaterThan(0.1);
    }
  }
});

test('an inpainting model is shown the mask and the masked image on both', async () => {
  const inpainting = await open('unet-inpaint-9ch');
  const channels = SHAPE.channels + 1;
  const shown = pseudoRandom(IMAGES.length * channels * SHAPE.height * SHAPE.width, 4);
  const drawShown = <T>(on: Opened, data: Float32Array, take: (latents: TensorValue) => T | Promise<T>) =>
    draw(on, kDiffusion('euler'), take, [
      { from: 'init', strength: 0.7 },
      { init: INIT, extraChannels: { channels, data } },
    ]);
  const expected = await drawShown(inpainting.wasm, shown, inMemory);
  const actual = await drawShown(inpainting.gpu, shown, download);
  const others = await drawShown(
    inpainting.wasm,
    shown.map((value) => -value),
    inMemory,
  );
  for (const [image, latents] of expected.entries()) {
    expect(relativeError(actual[image] ?? new Float32Array(), latents)).toBeLessThan(1e-3);
    expect(relativeError(others[image] ?? new Float32Array(), latents)).toBeGreaterThan(1e-2);
  }
});

test('an ordinary model takes over from an inpainting model on both', async () => {
  const inpainting = await open('unet-inpaint-9ch');
  const channels = SHAPE.channels + 1;
  const data = pseudoRandom(IMAGES.length * channels * SHAPE.height * SHAPE.width, 4);
  const start = [
    { from: 'init', strength: 0.9 },
    { init: INIT, extraChannels: { channels, data } },
  ] as const;
  const euler = kDiffusion('euler');
  const expected = await draw(inpainting.wasm, euler, inMemory, start, [], { unet: wasm.unet, fromCall: 1 });
  const actual = await draw(inpainting.gpu, euler, download, start, [], { unet: gpu.unet, fromCall: 1 });
  const alone = await draw(inpainting.wasm, euler, inMemory, start);
  for (const [image, latents] of expected.entries()) {
    expect(relativeError(actual[image] ?? new Float32Array(), latents)).toBeLessThan(1e-3);
    expect(relativeError(alone[image] ?? new Float32Array(), latents)).toBeGreaterThan(1e-2);
  }
});

test('ControlNets steer alike on wasm and on WebGPU, and nothing of theirs is read back', async () => {
  const [network, control] = [await openFixture('unet-sd1'), await openFixture('controlnet')];
  // Sizes are left open, as the app leaves them.
  const unetGraph = buildUnet2dCondition(network.config, { weights: network.weights, controlNet: true });
  const netGraph = buildControlNet(control.config, { weights: control.weights });
  const side = 8 * SHAPE.height;
  const image = (seed: number) => ({
    channels: 3,
    height: side,
    width: side,
    data: pseudoRandom(3 * side * side, seed).map(Math.abs),
  });
  const drawOn = async <T>(
    runtime: Runtime,
    take: (latents: TensorValue) => T | Promise<T>,
    strength = 1,
  ) => {
    const unet = await openGraph(runtime, unetGraph, network, {});
    const net = await openGraph(runtime, netGraph, control, {});
    const controls: Control[] = [
      {
        net,
        isPooled: false,
        rules: 'a1111',
        images: [image(1)],
        spec: { strength, start: 0, end: 0.5, balance: 'control' },
      },
      {
        net,
        isPooled: true,
        rules: 'a1111',
        images: [image(2)],
        spec: { strength: strength / 2, start: 0, end: 1, balance: 'even' },
      },
    ];
    return draw({ runtime, unet }, kDiffusion('euler'), take, undefined, controls);
  };
  const expected = await drawOn(runtimes.wasm, inMemory);
  const plain = await drawOn(runtimes.wasm, inMemory, 0);
  const read = vi.spyOn(GPUBuffer.prototype, 'mapAsync');
  let reads = NaN;
  const actual = await drawOn(runtimes.gpu, (latents) => {
    if (Number.isNaN(reads)) reads = read.mock.calls.length;
    return download(latents);
  });
  read.mockRestore();
  expect(reads).toBe(0);
  for (const [index, latents] of expected.entries()) {
    expect(relativeError(actual[index] ?? new Float32Array(), latents)).toBeLessThan(1e-3);
    expect(relativeError(plain[index] ?? new Float32Array(), latents)).toBeGreaterThan(1e-3);
  }
});

test('deep layers that run every other time give the same on both', async () => {
  const network = await openFixture('unet-sd1');
  const drawOn = async <T>(runtime: Runtime, take: (latents: TensorValue) => T | Promise<T>) => {
    const open = (deepFeature: 'kept' | 'given') =>
      openGraph(
        runtime,
        buildUnet2dCondition(network.config, { weights: network.weights, deepFeature }),
        network,
        {},
      );
    const features: DeepFeatures = new Map();
    const networks = { whole: await open('kept'), outer: await open('given') };
    const latents = await draw(
      { runtime, unet: withDeepCache(networks, 2, runtime.device, features) },
      kDiffusion('euler'),
      take,
    );
    expect(features.size).toBe(1);
    freeFeatures(features);
    return latents;
  };
  const expected = await drawOn(runtimes.wasm, inMemory);
  const actual = await drawOn(runtimes.gpu, download);
  const exact = await draw(wasm, kDiffusion('euler'), inMemory);
  for (const [image, latents] of expected.entries()) {
    expect(relativeError(actual[image] ?? new Float32Array(), latents)).toBeLessThan(1e-3);
    expect(relativeError(exact[image] ?? new Float32Array(), latents)).toBeGreaterThan(1e-3);
  }
});

test('the latents stay in GPU buffers from the noise to the VAE: nothing is mapped for reading', async () => {
  const read = vi.spyOn(GPUBuffer.prototype, 'mapAsync');
  try {
    const latents = await draw(gpu, kDiffusion('euler_ancestral'), (value) => ({
      onGpu: 'buffer' in value && value.buffer instanceof GPUBuffer,
      dims: value.dims,
    }));
    expect(latents).toEqual(IMAGES.map(() => ({ onGpu: true, dims: [1, 4, 4, 4] })));
    expect(read).not.toHaveBeenCalled();
  } finally {
    read.mockRestore();
  }
});
