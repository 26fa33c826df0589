import type { TensorValue } from '#engine/runtime/runtime.ts';
import { CpuMachine } from '#engine/samplers/cpu-machine.ts';
import type { Machine } from '#engine/samplers/execute.ts';
import { createGpuArithmetic } from '#engine/samplers/gpu-arithmetic.ts';
import { GpuMachine } from '#engine/samplers/gpu-machine.ts';
import { blendLatents } from '#engine/samplers/latent-math.ts';
import { INIT_LATENTS, RESULT, type Register } from '#engine/samplers/program.ts';
import { AppError } from '#protocol/error.ts';
import type { SoftInpainting } from '#protocol/job.ts';
import { createCpuDenoiser, type CpuDenoiser } from './cpu-denoiser.ts';
import { createGpuDenoiser } from './gpu-denoiser.ts';
import { createFallbackDenoiser, createPanoramaDenoiser, takesAnySize, type Panorama } from './panorama.ts';
import { createSoftBlend } from './soft-blend.ts';
import {
  latentLength,
  summedGuidanceScale,
  type GuidedUnet,
  type LatentShape,
  type PlaneBatch,
} from './unet.ts';

/** A network without what a batch starts with. */
type OpenNetwork = Omit<GuidedUnet, 'extra' | 'inpaintFeature'>;

/** What the latents of a batch begin as, image after image. */
export interface BatchStart {
  /** Unit noise. */
  noise: Float32Array;
  /** Clean latents, for runs that start from an image. */
  init?: Float32Array;
  /** For runs that generate a part of it only: of every latent, 1 where it is generated again … 0 where it stays. */
  mask?: Float32Array;
  /** Blend by A1111's soft inpainting, and keep the result unchanged. */
  soft?: SoftInpainting;
  extraChannels?: PlaneBatch;
  /** Of an inpaint patch. */
  inpaintFeature?: PlaneBatch;
}

/** A network that takes over in the course of a run. */
export interface NextNetwork {
  /** The first call of the network that is its own, counted from 0. */
  fromCall: number;
  open(): Promise<OpenNetwork>;
}

/** What a batch is sampled with. */
export interface SamplingSetup {
  network: OpenNetwork;
  next?: NextNetwork | null;
  /** Generate in windows, see {@link createPanoramaDenoiser}. Only on arrays. */
  windows?: Panorama | undefined;
  /** Windows to go on in where memory gives out. Only on arrays. */
  fallback?: { windows: Panorama; onUse: () => void } | undefined;
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

/** Opens an executor with latents in buffers of a GPU device, or in arrays if there is none. */
export function openSamplingRun(device: GPUDevice | null, setup: SamplingSetup): SamplingRun {
  return device ? openGpuRun(device, setup) : openCpuRun(setup);
}

/** A network as the run gives it what it takes. */
function complete(network: OpenNetwork, { extraChannels, inpaintFeature }: BatchStart): GuidedUnet {
  const { unet, shape, guidanceScale } = network;
  return {
    ...network,
    guidanceScale: summedGuidanceScale(unet, guidanceScale),
    // A refiner of the ordinary kind may take over from an inpainting model.
    extra: unet.inputDims('sample')[1] === shape.channels ? undefined : extraChannels,
    inpaintFeature: unet.inputNames.includes('inpaint_feature') ? inpaintFeature : undefined,
  };
}

/** A denoiser that counts its calls, and changes to the next network when it is its turn. */
function inTurn<Denoiser extends { close(): void }>(
  { network, next, start }: SamplingSetup,
  create: (network: GuidedUnet) => Denoiser,
): { atCall(): Promise<{ denoiser: Denoiser; call: number }>; close(): void } {
  let denoiser = create(complete(network, start));
  let calls = 0;
  return {
    async atCall() {
      const call = calls++;
      if (next && call === next.fromCall) {
        const network = complete(await next.open(), start);
        denoiser.close();
        denoiser = create(network);
      }
      return { denoiser, call };
    },
    close: () => denoiser.close(),
  };
}

function softBlendOf({ mask, soft }: BatchStart, shape: LatentShape) {
  return mask && soft && createSoftBlend(mask, shape, soft);
}

function vaeDims({ channels, height, width }: LatentShape): readonly number[] {
  return [1, channels, height, width];
}

function createDenoiser(network: GuidedUnet, { windows, fallback }: SamplingSetup): CpuDenoiser {
  if (windows) return createPanoramaDenoiser(network, windows);
  return fallback && takesAnySize(network.unet)
    ? createFallbackDenoiser(network, fallback.windows, fallback.onUse)
    : createCpuDenoiser(network);
}

function openCpuRun(setup: SamplingSetup): SamplingRun {
  const { network, start, nextNoise, brownian, show } = setup;
  const { shape, prompts } = network;
  const { init, mask, soft } = start;
  const length = latentLength(shape);
  let estimated: Float32Array | null = null;
  const denoisers = inTurn(setup, (guided) => ({
    denoise: createDenoiser(guided, setup),
    close: () => undefined,
  }));
  const machine = new CpuMachine({
    ...start,
    images: prompts.length,
    nextNoise,
    blendAt: softBlendOf(start, shape),
    async denoise(input, instruction) {
      const { denoiser, call } = await denoisers.atCall();
      return denoiser.denoise(input, instruction, call);
    },
    ...(brownian && { brownian }),
    async show(latents, step) {
      if (!latents.every(Number.isFinite)) {
        throw new AppError(
          'not_a_number',
          'The latents came out as NaN (not a number). Try another sampler, or run on the CPU.',
        );
      }
      estimated = latents;
      await show(step);
    },
  });
  const pick = (batch: Float32Array, image: number, divisor: number): TensorValue => {
    const own = (values: Float32Array) => values.subarray(image * length, (image + 1) * length);
    const data = own(batch).slice();
    if (init && mask && !soft) blendLatents(data, own(mask), data, own(init));
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

function openGpuRun(device: GPUDevice, setup: SamplingSetup): SamplingRun {
  const { network, start, nextNoise, brownian, show } = setup;
  const { shape, prompts } = network;
  const length = latentLength(shape);
  const arithmetic = createGpuArithmetic(device);
  const denoisers = inTurn(setup, (guided) => createGpuDenoiser(arithmetic, guided));
  const vaeInput = arithmetic.allocate(length);
  let estimated: Register | null = null;
  const machine = new GpuMachine({
    ...start,
    arithmetic,
    images: prompts.length,
    nextNoise,
    blendAt: softBlendOf(start, shape),
    async denoise(...step) {
      const { denoiser, call } = await denoisers.atCall();
      return denoiser.denoise(...step, call);
    },
    ...(brownian && { brownian }),
    async show(register, step) {
      estimated = register;
      await show(step);
    },
  });
  const pick = (register: Register, image: number, divisor: number): TensorValue => {
    const isBlended = start.mask !== undefined && !start.soft;
    const whole = isBlended ? 'picked' : register;
    if (isBlended) machine.blendByMask({ to: whole, inside: register, outside: INIT_LATENTS });
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
      denoisers.close();
      vaeInput.destroy();
    },
  };
}

function numbersOf(latents: TensorValue): Float32Array {
  if ('data' in latents && latents.type === 'float32') return latents.data;
  throw new AppError('internal', 'The latents are not numbers in memory.');
}
