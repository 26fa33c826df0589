import { afterAll, describe, expect, test } from 'vitest';
import { createBrownianBatch } from '#engine/random/brownian.ts';
import { createTorchCpuGenerator } from '#engine/random/torch-cpu.ts';
import { createNoiseStream, type LatentSize } from '#engine/random/latent-noise.ts';
import { chooseBackend } from '#engine/runtime/device.ts';
import { CpuMachine } from '#engine/samplers/cpu-machine.ts';
import { diffusersSchedulers } from '#engine/samplers/diffusers/index.ts';
import { execute } from '#engine/samplers/execute.ts';
import { createGpuArithmetic } from '#engine/samplers/gpu-arithmetic.ts';
import { GpuMachine } from '#engine/samplers/gpu-machine.ts';
import { planSampling } from '#engine/samplers/index.ts';
import { kDiffusionSamplers } from '#engine/samplers/k-diffusion/index.ts';
import { RESULT } from '#engine/samplers/program.ts';
import type { SamplingPlan, SamplingStart } from '#engine/samplers/sampling-plan.ts';
import type { SamplerChoice } from '#protocol/sampler.ts';
import { relativeError } from '../../support/relative-error.ts';
import {
  diffusionNetwork,
  flowNetwork,
  FLOW,
  STABLE_DIFFUSION,
  unconditionalMean,
  type Network,
} from '../../unit/engine/samplers/k-diffusion/model.ts';

const TOLERANCE = 1e-5;
const STEPS = 12;

const SEEDS = [11n, 12n];
const SIZE: LatentSize = [4, 8, 8];
const CELLS = SIZE[0] * SIZE[1] * SIZE[2];
const INIT = Float32Array.from({ length: SEEDS.length * CELLS }, (_, i) => Math.sin(i * 0.37));

const { device } = await chooseBackend('webgpu');
if (!device) throw new Error('This Chromium has no WebGPU.');
const arithmetic = createGpuArithmetic(device);
afterAll(() => device.destroy());

/** Fresh noise of the same seeds: what both machines draw. */
function noises({ brownianRange: range }: SamplingPlan) {
  const stream = createNoiseStream(
    { source: 'torch-cpu', subseedStrength: 0, etaNoiseSeedDelta: 0 },
    SEEDS.map((seed) => ({ seed, subseed: 0n })),
    SIZE,
    8,
  );
  return {
    images: SEEDS.length,
    noise: stream.first(),
    init: INIT,
    nextNoise: () => stream.next(),
    ...(range && {
      brownian: createBrownianBatch(SEEDS, { range, size: CELLS, generator: createTorchCpuGenerator }),
    }),
  };
}

interface Networks {
  guided: Network;
  unconditional: Network;
}
const NETWORKS: Networks = {
  guided: diffusionNetwork('epsilon'),
  unconditional: diffusionNetwork('epsilon', unconditionalMean),
};
const FLOW_NETWORKS: Networks = { guided: flowNetwork, unconditional: flowNetwork };

async function onCpu(plan: SamplingPlan, { guided, unconditional }: Networks): Promise<Float32Array> {
  const machine = new CpuMachine({
    ...noises(plan),
    denoise: (input, { timestep }) => ({
      guided: Float32Array.from(guided([...input], timestep)),
      unconditional: Float32Array.from(unconditional([...input], timestep)),
    }),
  });
  await execute(plan.program(), machine);
  return machine.read(RESULT);
}

async function onGpu(plan: SamplingPlan, networks: Networks): Promise<Float32Array> {
  const machine = new GpuMachine({
    ...noises(plan),
    arithmetic,
    async denoise(from, guided, unconditional, { timestep, inputScale }) {
      const latents = await arithmetic.download(from, SEEDS.length * CELLS);
      const input = [...latents.map((value) => value * inputScale)];
      arithmetic.upload(guided, Float32Array.from(networks.guided(input, timestep)));
      if (unconditional) {
        arithmetic.upload(unconditional, Float32Array.from(networks.unconditional(input, timestep)));
      }
    },
  });
  try {
    await execute(plan.program(), machine);
    return await machine.read(RESULT);
  } finally {
    machine.close();
  }
}

/** How far apart the two machines end, from noise and from an image. */
async function compare(choice: SamplerChoice): Promise<void> {
  const flow = choice.family === 'diffusers' && choice.scheduler.startsWith('FlowMatch');
  const networks = flow ? FLOW_NETWORKS : NETWORKS;
  // Inversion goes from the image itself all the way up to noise.
  const strength = choice.family === 'diffusers' && choice.scheduler === 'DDIMInverseScheduler' ? 1 : 0.6;
  const starts: SamplingStart[] = [{ from: 'noise' }, { from: 'init', strength }];
  for (const start of starts) {
    const plan = planSampling(choice, { schedulerConfig: flow ? FLOW : STABLE_DIFFUSION }, STEPS, start);
    const [expected, actual] = [await onCpu(plan, networks), await onGpu(plan, networks)];
    expect(relativeError(actual, expected), start.from).toBeLessThan(TOLERANCE);
  }
}

describe('both machines come to the same latents with', () => {
  test.each(Object.keys(kDiffusionSamplers))('%s', (sampler) =>
    compare({ family: 'k-diffusion', sampler, schedule: 'automatic', options: {} }),
  );

  test.each(Object.keys(diffusersSchedulers))('%s', (scheduler) =>
    compare({ family: 'diffusers', scheduler, config: {} }),
  );

  test('images clamped on the way', () =>
    compare({ family: 'diffusers', scheduler: 'DDIMScheduler', config: { clip_sample: true } }));

  test('images thresholded on the way', () =>
    compare({
      family: 'diffusers',
      scheduler: 'DPMSolverMultistepScheduler',
      config: { thresholding: true, dynamic_thresholding_ratio: 0.9, sample_max_value: 1.5 },
    }));
});

test('sums of any number of slices are as exact as in float64', async () => {
  const [length, offset, count] = [1000, 3, 17];
  const values = Float32Array.from({ length: length + count }, (_, i) => Math.sin(i * 1.7) * 3);
  const source = arithmetic.allocate(values.length);
  arithmetic.upload(source, values);
  const weights = Array.from({ length: count }, (_, k) => Math.sin((k + 1) * 2.3) * 10);
  for (const terms of [1, 2, 7, 8, count]) {
    const target = arithmetic.allocate(offset + length);
    const slices = weights.slice(0, terms).map((weight, k) => ({ weight, buffer: source, offset: k }));
    arithmetic.combine(target, offset, length, slices);
    const sums = await arithmetic.download(target, offset + length);
    const expected = Float32Array.from({ length: offset + length }, (_, i) =>
      i < offset
        ? 0
        : slices.reduce((sum, { weight, offset: k }) => sum + weight * (values[i - offset + k] ?? NaN), 0),
    );
    // One pass is exact to float32's rounding; each further one rounds what there is so far.
    expect(relativeError(sums, expected)).toBeLessThan(terms <= 7 ? 6.1e-8 : 3e-7);
    target.destroy();
  }
  source.destroy();
});
