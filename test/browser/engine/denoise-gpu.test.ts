import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Graph } from '#engine/graph/graph.ts';
import { conv2d } from '#engine/graph/layers.ts';
import { add, scale } from '#engine/graph/operators.ts';
import { createDevice } from '#engine/models/device.ts';
import type { Models } from '#engine/models/models.ts';
import { createNoiseStream } from '#engine/random/latent-noise.ts';
import type { Runtime, Session } from '#engine/runtime/runtime.ts';
import { planSampling } from '#engine/samplers/index.ts';
import { denoise, type DenoiseInput } from '#engine/stages/denoise/denoise.ts';
import type { BatchStart } from '#engine/stages/denoise/sampling-run.ts';
import { createRunContext } from '#engine/stages/run/context.ts';
import type { EncodedPrompt } from '#engine/text/encode.ts';
import type { EngineEvent } from '#protocol/engine-worker.ts';
import { AppError } from '#protocol/error.ts';
import type { Pass } from '#protocol/job.ts';
import { openBrowserRuntime, openGraph } from '../../support/browser-engine.ts';
import { SOFT } from '../../support/inits.ts';
import { textToImage } from '../../support/jobs.ts';
import { pseudoRandom, randomTensors, tensorsOf } from '../../support/random-weights.ts';
import { relativeError } from '../../support/relative-error.ts';

/** Cells: two tiles across. */
const SHAPE = { channels: 4, height: 16, width: 32 };
const LENGTH = SHAPE.channels * SHAPE.height * SHAPE.width;
const TILE = { size: 128, overlap: 32 };
const PACK = {
  family: 'sd1',
  sizing: 'exact',
  weights: 'safetensors',
  trainedSizes: [[TILE.size, TILE.size]],
  latent: { downscale: 8, sizeMultiple: 64 },
};
const NOISE_MODEL = {
  schedulerConfig: { beta_start: 0.00085, beta_end: 0.012, beta_schedule: 'scaled_linear' },
};

let gpu: Runtime;
let unet: Session;

beforeAll(async () => {
  gpu = await openBrowserRuntime('webgpu');
  const weights = tensorsOf(randomTensors({ 'conv.weight': [4, 4, 3, 3], 'conv.bias': [4] }));
  const graph = new Graph({ name: 'unet', weights });
  const sample = graph.input('sample', 'float32', ['batch', 4, 'height', 'width']);
  const time = graph.reshape(scale(graph, graph.preciseInput('timestep', [1]), 1e-4), [1, 1, 1, 1]);
  const text = graph.reshape(graph.input('encoder_hidden_states', 'float32', ['batch', 1, 4]), [
    'batch',
    4,
    1,
    1,
  ]);
  graph.output('out_sample', add(graph, add(graph, conv2d(graph, sample, 'conv', { out: 4 }), text), time));
  unet = await openGraph(gpu, graph.build(), { config: {}, weights, files: new Map() });
});
afterAll(() => gpu.close());

const contextOf = (seed: number) => ({ data: pseudoRandom(4, seed), tokens: 1, width: 4, pooled: null });
const PROMPT: EncodedPrompt = {
  conditioningAt: () => ({ positive: [{ context: contextOf(1), weight: 1 }], negative: contextOf(2) }),
};

/** Denoises a batch of one image; its latents, and the notes. */
async function run(
  changes: Partial<Pass> = {},
  {
    device = gpu.device,
    session = unet,
    start = {},
    emit = () => undefined,
  }: {
    device?: GPUDevice | null;
    session?: Session;
    start?: Partial<BatchStart>;
    emit?: (event: EngineEvent) => void;
  } = {},
) {
  const job = textToImage({
    prompt: 'hills',
    seeds: [5n],
    steps: 3,
    guidanceScale: 4,
    sampler: { family: 'k-diffusion', sampler: 'euler_ancestral', schedule: 'automatic', options: {} },
    ...changes,
  });
  const [spec] = job.passes;
  const runtime = { ...gpu, device };
  // Nothing is loaded: the network is here already.
  const context = createRunContext(
    createDevice(runtime, {} as Models),
    job,
    [],
    () => () => Promise.resolve(undefined),
    { cancelled: false, skipped: false },
    emit,
  );
  context.progress.expect([{ steps: spec.steps, size: spec.size }]);
  const noise = createNoiseStream(job.noise, job.images, [SHAPE.channels, SHAPE.height, SHAPE.width], 8);
  const from = start.mask
    ? ({ from: 'init', strength: 0.8, masked: true } as const)
    : ({ from: 'noise' } as const);
  const input = {
    job,
    batch: { images: job.images, from: 0 },
    pass: { index: 0, spec, shape: SHAPE },
    plan: planSampling(spec.sampler, NOISE_MODEL, spec.steps, from),
    model: { unet: session, takesBuffers: true, pack: PACK, noiseModel: NOISE_MODEL, scalingFactor: 1 },
    prompts: [PROMPT],
    controls: [],
    imagePrompts: [],
    inits: [],
    latents: { start: { noise: noise.first(), ...start }, noise },
  } as unknown as DenoiseInput;
  const denoised = await denoise(context, input);
  const latents = denoised.latents(0);
  if (!latents) throw new Error('There are no latents.');
  const data = (await denoised.read(latents)).slice();
  denoised.close();
  return { data, notes: context.outcome().notes };
}

/** The network where memory holds so many cells, and from the second run on the GPU not even those. */
function inLittleMemory(most: number): Session {
  let runs = 0;
  const check = (rows: number, height: number, width: number) => {
    if (rows * height * width > most) throw new AppError('out_of_memory', 'Too large.');
  };
  return {
    ...unet,
    run(inputs, ...rest) {
      const [rows = 0, , height = 0, width = 0] = inputs['sample']?.dims ?? [];
      check(rows, height, width);
      return unet.run(inputs, ...rest);
    },
    runInto(inputs, outputs) {
      if (runs++ > 0) check(1, Infinity, Infinity);
      return unet.runInto(inputs, outputs);
    },
  };
}

describe('a batch in buffers of the GPU', () => {
  test('comes out as in arrays', async () => {
    const { data, notes } = await run();
    expect(data).toHaveLength(LENGTH);
    expect(relativeError(data, (await run({}, { device: null })).data)).toBeLessThan(1e-4);
    expect(notes).toEqual([]);
  });

  test('is read back for previews alone, once for each', async () => {
    const read = vi.spyOn(GPUBuffer.prototype, 'mapAsync');
    let previews = 0;
    const countPreviews = ({ type }: EngineEvent) => {
      if (type === 'preview') previews++;
    };
    try {
      // Previews are made by the clock, a few in a second.
      for (let steps = 6; previews === 0; steps *= 2) {
        previews = 0;
        read.mockClear();
        await run({ steps }, { emit: countPreviews });
      }
      // The last one is for the result.
      expect(read).toHaveBeenCalledTimes(previews + 1);
    } finally {
      read.mockRestore();
    }
  });

  test('is blended by soft inpainting as in arrays', async () => {
    const init = Float32Array.from({ length: LENGTH }, (_, i) => Math.sin(i * 0.37));
    const mask = Float32Array.from({ length: LENGTH }, (_, i) => (i % SHAPE.width) / (SHAPE.width - 1));
    const soft = await run({}, { start: { init, mask, soft: SOFT } });
    const inArrays = await run({}, { start: { init, mask, soft: SOFT }, device: null });
    expect(relativeError(soft.data, inArrays.data)).toBeLessThan(1e-4);
    const hard = await run({}, { start: { init, mask } });
    expect(relativeError(soft.data, hard.data)).toBeGreaterThan(0.01);
  });

  test('whose memory gives out begins again in tiles, with the same noise, which is noted', async () => {
    const tiled = await run({ tiles: TILE });
    const session = inLittleMemory((TILE.size / 8) ** 2);
    const { data, notes } = await run({}, { session });
    expect(relativeError(data, tiled.data)).toBeLessThan(1e-5);
    expect(relativeError(data, (await run()).data)).toBeGreaterThan(1e-3);
    expect(notes).toEqual([expect.stringContaining('denoised in tiles')]);
  });
});
