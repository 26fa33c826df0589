import { afterAll, expect, test, vi } from 'vitest';
import { buildUnet2dCondition } from '#engine/architectures/unet-2d-condition.ts';
import { openSamplingRun } from '#engine/pipelines/sampling-run.ts';
import { latentLength, type LatentShape } from '#engine/pipelines/unet.ts';
import { createNoiseStream } from '#engine/random/latent-noise.ts';
import type { Runtime, Session, TensorValue } from '#engine/runtime/runtime.ts';
import { execute } from '#engine/samplers/execute.ts';
import { createGpuArithmetic } from '#engine/samplers/gpu-arithmetic.ts';
import { planSampling } from '#engine/samplers/index.ts';
import type { Context, EncodedPrompt } from '#engine/text/encode.ts';
import { openBrowserRuntime, openFixture, openGraph } from '../../support/browser-engine.ts';
import { pseudoRandom } from '../../support/random-weights.ts';
import { relativeError } from '../../support/relative-error.ts';

const SHAPE: LatentShape = { channels: 4, height: 4, width: 4 };
const LENGTH = latentLength(SHAPE);
const PICTURES = [5n, 6n];
const STEPS = 3;

const context = (seed: number): Context => ({
  data: pseudoRandom(7 * 32, seed),
  tokens: 7,
  width: 32,
  pooled: null,
});
const prompts: EncodedPrompt[] = PICTURES.map((_, picture) => {
  const conditioning = { positive: [{ context: context(picture + 2), weight: 1 }], negative: context(1) };
  return { conditioningAt: () => conditioning };
});

// Each picture with and without its prompt, in one run.
const network = await openFixture('unet-sd1');
const graph = buildUnet2dCondition(network.config, {
  weights: network.weights,
  size: { batch: 2 * PICTURES.length, height: SHAPE.height, width: SHAPE.width },
});

async function open(choice: 'wasm' | 'webgpu'): Promise<{ runtime: Runtime; unet: Session }> {
  const runtime = await openBrowserRuntime(choice);
  const unet = await openGraph(runtime, graph, network, { requireProvider: choice === 'webgpu' });
  return { runtime, unet };
}

const wasm = await open('wasm');
const gpu = await open('webgpu');
afterAll(async () => {
  await wasm.runtime.close();
  await gpu.runtime.close();
});

/** Draws both pictures and hands over the latents of each. */
async function draw<T>(
  { runtime, unet }: { runtime: Runtime; unet: Session },
  sampler: string,
  take: (latents: TensorValue) => T | Promise<T>,
): Promise<T[]> {
  const choice = { family: 'k-diffusion', sampler, schedule: 'automatic', options: {} } as const;
  const plan = planSampling(choice, { schedulerConfig: { prediction_type: 'epsilon' } }, STEPS);
  const run = openSamplingRun(runtime, unet, {
    shape: SHAPE,
    prompts,
    guidanceScale: 4,
    noise: createNoiseStream(
      { source: 'torch-cpu', subseedStrength: 0, etaNoiseSeedDelta: 0 },
      PICTURES.map((seed) => ({ seed, subseed: 0n })),
      [SHAPE.channels, SHAPE.height, SHAPE.width],
      8,
    ),
    show: () => Promise.resolve(),
  });
  try {
    await execute(plan.program(), run.machine);
    const taken: T[] = [];
    for (const picture of PICTURES.keys()) taken.push(await take(run.result(picture, 0.18215)));
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
  const { device } = gpu.runtime;
  if (!device || !('buffer' in latents)) throw new Error('The latents are not on the GPU.');
  return createGpuArithmetic(device).download(latents.buffer, LENGTH);
}

test('the runtimes are what was asked for', () => {
  expect(wasm.runtime.backend).toMatchObject({ provider: 'wasm', build: 'wasm' });
  expect(gpu.runtime.backend.provider).toBe('webgpu');
});

// One adds noise on the way, one wants the output without guidance as well.
test.each(['euler_ancestral', 'ddim_cfgpp'])(
  '%s draws the same latents on wasm and on WebGPU',
  async (sampler) => {
    const expected = await draw(wasm, sampler, inMemory);
    const actual = await draw(gpu, sampler, download);
    for (const [picture, latents] of expected.entries()) {
      expect(latents.every(Number.isFinite)).toBe(true);
      expect(relativeError(actual[picture] ?? new Float32Array(), latents)).toBeLessThan(1e-3);
    }
    expect(
      relativeError(expected[1] ?? new Float32Array(), expected[0] ?? new Float32Array()),
    ).toBeGreaterThan(0.1);
  },
);

test('the latents stay in GPU buffers from the noise to the VAE: nothing is mapped for reading', async () => {
  const read = vi.spyOn(GPUBuffer.prototype, 'mapAsync');
  try {
    const latents = await draw(gpu, 'euler_ancestral', (value) => ({
      onGpu: 'buffer' in value && value.buffer instanceof GPUBuffer,
      dims: value.dims,
    }));
    expect(latents).toEqual(PICTURES.map(() => ({ onGpu: true, dims: [1, 4, 4, 4] })));
    expect(read).not.toHaveBeenCalled();
  } finally {
    read.mockRestore();
  }
});
