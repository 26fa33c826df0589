import type { NoiseStream } from '#engine/random/latent-noise.ts';
import type { Runtime, Session, TensorValue } from '#engine/runtime/runtime.ts';
import { CpuMachine } from '#engine/samplers/cpu-machine.ts';
import type { Machine } from '#engine/samplers/execute.ts';
import { createGpuArithmetic } from '#engine/samplers/gpu-arithmetic.ts';
import { GpuMachine } from '#engine/samplers/gpu-machine.ts';
import { RESULT, type Register } from '#engine/samplers/program.ts';
import type { EncodedPrompt } from '#engine/text/encode.ts';
import { AppError } from '#protocol/error.ts';
import { createCpuDenoiser } from './cpu-denoiser.ts';
import { createGpuDenoiser } from './gpu-denoiser.ts';
import { latentLength, type LatentShape } from './unet.ts';

/** What a batch is drawn with. */
export interface SamplingSetup {
  /** Of one picture's latents. */
  shape: LatentShape;
  /** One for each picture of the batch. */
  prompts: readonly EncodedPrompt[];
  guidanceScale: number;
  noise: NoiseStream;
  /** For samplers that follow a Brownian path. */
  brownian?: (sigmaFrom: number, sigmaTo: number) => Float32Array;
  /** A step has ended. */
  show: (step: number) => Promise<void>;
}

/** The executor of a batch, and the way its latents come out: where they are, as input of the VAE. */
export interface SamplingRun {
  machine: Machine;
  /** Finished latents of a picture, divided by `divisor`; for the VAE, valid until the run is closed. */
  result(picture: number, divisor: number): TensorValue;
  /** The same of the last estimate of the clean latents; null before the first step has ended. */
  estimate(picture: number, divisor: number): TensorValue | null;
  /** Frees what the run holds. */
  close(): void;
}

/** Opens the executor that fits the runtime: latents in GPU buffers where sessions run on the GPU. */
export function openSamplingRun(runtime: Runtime, unet: Session, setup: SamplingSetup): SamplingRun {
  return runtime.device ? openGpuRun(runtime.device, unet, setup) : openCpuRun(unet, setup);
}

function vaeDims({ channels, height, width }: LatentShape): readonly number[] {
  return [1, channels, height, width];
}

function openCpuRun(
  unet: Session,
  { shape, prompts, guidanceScale, noise, brownian, show }: SamplingSetup,
): SamplingRun {
  const length = latentLength(shape);
  let estimated: Float32Array | null = null;
  const machine = new CpuMachine({
    pictures: prompts.length,
    noise: noise.first(),
    nextNoise: () => noise.next(),
    denoise: createCpuDenoiser(unet, shape, prompts, guidanceScale),
    ...(brownian && { brownian }),
    async show(latents, step) {
      if (!latents.every(Number.isFinite)) {
        throw new AppError('not_a_number', 'The latents came out as numbers that are none.');
      }
      estimated = latents;
      await show(step);
    },
  });
  const pick = (batch: Float32Array, picture: number, divisor: number): TensorValue => ({
    type: 'float32',
    data: batch.subarray(picture * length, (picture + 1) * length).map((value) => value / divisor),
    dims: vaeDims(shape),
  });
  return {
    machine,
    result: (picture, divisor) => pick(machine.read(RESULT), picture, divisor),
    estimate: (picture, divisor) => estimated && pick(estimated, picture, divisor),
    close: () => undefined,
  };
}

function openGpuRun(
  device: GPUDevice,
  unet: Session,
  { shape, prompts, guidanceScale, noise, brownian, show }: SamplingSetup,
): SamplingRun {
  const length = latentLength(shape);
  const arithmetic = createGpuArithmetic(device);
  const denoiser = createGpuDenoiser(arithmetic, unet, shape, prompts, guidanceScale);
  const vaeInput = arithmetic.allocate(length);
  let estimated: Register | null = null;
  const machine = new GpuMachine({
    arithmetic,
    pictures: prompts.length,
    noise: noise.first(),
    nextNoise: () => noise.next(),
    denoise: denoiser.denoise,
    ...(brownian && { brownian }),
    async show(register, step) {
      estimated = register;
      await show(step);
    },
  });
  const pick = (register: Register, picture: number, divisor: number): TensorValue => {
    const buffer = machine.buffer(register);
    arithmetic.combine(vaeInput, 0, length, [{ weight: 1 / divisor, buffer, offset: picture * length }]);
    return { type: 'float32', buffer: vaeInput, dims: vaeDims(shape) };
  };
  return {
    machine,
    result: (picture, divisor) => pick(RESULT, picture, divisor),
    estimate: (picture, divisor) => (estimated === null ? null : pick(estimated, picture, divisor)),
    close() {
      machine.close();
      denoiser.close();
      vaeInput.destroy();
    },
  };
}
