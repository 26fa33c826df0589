import type { TensorValue } from '#engine/runtime/runtime.ts';
import { CpuMachine } from '#engine/samplers/cpu-machine.ts';
import type { Machine } from '#engine/samplers/execute.ts';
import { createGpuArithmetic } from '#engine/samplers/gpu-arithmetic.ts';
import { GpuMachine } from '#engine/samplers/gpu-machine.ts';
import { blendLatents } from '#engine/samplers/latent-math.ts';
import { INIT_LATENTS, RESULT, type Register } from '#engine/samplers/program.ts';
import { AppError } from '#protocol/error.ts';
import { createCpuDenoiser } from './cpu-denoiser.ts';
import { createGpuDenoiser } from './gpu-denoiser.ts';
import {
  latentLength,
  summedGuidanceScale,
  type ExtraChannels,
  type GuidedUnet,
  type LatentShape,
} from './unet.ts';

/** What the latents of a batch begin as, image after image. */
export interface BatchStart {
  /** Unit noise. */
  noise: Float32Array;
  /** Clean latents, for runs that start from an image. */
  init?: Float32Array;
  /** For runs that generate a part of it only: of every latent, 1 where it is generated again … 0 where it stays. */
  mask?: Float32Array;
  extraChannels?: ExtraChannels;
}

/** What a batch is sampled with. */
export interface SamplingSetup extends Omit<GuidedUnet, 'extra'> {
  start: BatchStart;
  /** The sampler's own noise. */
  nextNoise: () => Float32Array;
  /** For samplers that follow a Brownian path. */
  brownian?: (sigmaFrom: number, sigmaTo: number) => Float32Array;
  /** A step has ended. */
  show: (step: number) => Promise<void>;
}

/** The executor of a batch, and the way its latents come out: where they are, as input of the VAE. */
export interface SamplingRun {
  machine: Machine;
  /**
   * Finished latents of an image, outside the mask those it began with, divided by `divisor`; for the VAE, valid
   * until the run is closed.
   */
  result(image: number, divisor: number): TensorValue;
  /** The same of the last estimate of the clean latents; null before the first step has ended. */
  estimate(image: number, divisor: number): TensorValue | null;
  /** The numbers of either. */
  read: (latents: TensorValue) => Promise<Float32Array>;
  /** Frees what the run holds. */
  close(): void;
}

/** Opens an executor with latents in buffers of a GPU device, or in arrays where there is none. */
export function openSamplingRun(device: GPUDevice | null, setup: SamplingSetup): SamplingRun {
  const network = {
    ...setup,
    guidanceScale: summedGuidanceScale(setup.unet, setup.guidanceScale),
    extra: setup.start.extraChannels,
  };
  return device ? openGpuRun(device, setup, network) : openCpuRun(setup, network);
}

function vaeDims({ channels, height, width }: LatentShape): readonly number[] {
  return [1, channels, height, width];
}

function openCpuRun(setup: SamplingSetup, network: GuidedUnet): SamplingRun {
  const { shape, prompts, start, nextNoise, brownian, show } = setup;
  const { init, mask } = start;
  const length = latentLength(shape);
  let estimated: Float32Array | null = null;
  const machine = new CpuMachine({
    ...start,
    images: prompts.length,
    nextNoise,
    denoise: createCpuDenoiser(network),
    ...(brownian && { brownian }),
    async show(latents, step) {
      if (!latents.every(Number.isFinite)) {
        throw new AppError('not_a_number', 'The latents came out as numbers that are none.');
      }
      estimated = latents;
      await show(step);
    },
  });
  const pick = (batch: Float32Array, image: number, divisor: number): TensorValue => {
    const own = (values: Float32Array) => values.subarray(image * length, (image + 1) * length);
    const data = own(batch).slice();
    if (init && mask) blendLatents(data, own(mask), data, own(init));
    return { type: 'float32', data: data.map((value) => value / divisor), dims: vaeDims(shape) };
  };
  return {
    machine,
    result: (image, divisor) => pick(machine.read(RESULT), image, divisor),
    estimate: (image, divisor) => estimated && pick(estimated, image, divisor),
    read: (latents) => Promise.resolve(numbersOf(latents)),
    close: () => undefined,
  };
}

function openGpuRun(device: GPUDevice, setup: SamplingSetup, network: GuidedUnet): SamplingRun {
  const { shape, prompts, start, nextNoise, brownian, show } = setup;
  const length = latentLength(shape);
  const arithmetic = createGpuArithmetic(device);
  const denoiser = createGpuDenoiser(arithmetic, network);
  const vaeInput = arithmetic.allocate(length);
  let estimated: Register | null = null;
  const machine = new GpuMachine({
    ...start,
    arithmetic,
    images: prompts.length,
    nextNoise,
    denoise: denoiser.denoise,
    ...(brownian && { brownian }),
    async show(register, step) {
      estimated = register;
      await show(step);
    },
  });
  const pick = (register: Register, image: number, divisor: number): TensorValue => {
    const whole = start.mask ? 'picked' : register;
    if (start.mask) machine.blend({ op: 'blend', to: whole, inside: register, outside: INIT_LATENTS });
    const slice = { weight: 1 / divisor, buffer: machine.buffer(whole), offset: image * length };
    arithmetic.combine(vaeInput, 0, length, [slice]);
    return { type: 'float32', buffer: vaeInput, dims: vaeDims(shape) };
  };
  return {
    machine,
    result: (image, divisor) => pick(RESULT, image, divisor),
    estimate: (image, divisor) => (estimated === null ? null : pick(estimated, image, divisor)),
    read: async (latents) =>
      'buffer' in latents ? arithmetic.download(latents.buffer, length) : numbersOf(latents),
    close() {
      machine.close();
      denoiser.close();
      vaeInput.destroy();
    },
  };
}

function numbersOf(latents: TensorValue): Float32Array {
  if ('data' in latents && latents.type === 'float32') return latents.data;
  throw new AppError('internal', 'The latents are not numbers in memory.');
}
