import type { NoiseStream } from '#engine/random/latent-noise.ts';
import type { Runtime, Session } from '#engine/runtime/runtime.ts';
import { CpuMachine } from '#engine/samplers/cpu-machine.ts';
import type { Machine } from '#engine/samplers/execute.ts';
import type { Register } from '#engine/samplers/program.ts';
import type { EncodedPrompt } from '#engine/text/encode.ts';
import { AppError } from '#protocol/error.ts';
import { createCpuDenoiser } from './cpu-denoiser.ts';
import type { LatentShape } from './unet.ts';

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
  /** A step has ended; `estimate` reads the first pictures' clean latents as guessed so far. */
  show(step: number, estimate: () => Promise<Float32Array>): Promise<void>;
}

/** A machine for sampler programs whose registers can be read once the program is through. */
export interface SamplingMachine extends Machine {
  latents(register: Register): Promise<Float32Array>;
  /** The last estimate shown, for runs that were stopped. */
  estimate(): Promise<Float32Array>;
  /** Frees what the machine holds. */
  close(): void;
}

/** The executor that fits the runtime. */
export function openSamplingMachine(
  runtime: Runtime,
  unet: Session,
  setup: SamplingSetup,
): Promise<SamplingMachine> {
  return Promise.resolve(openCpuMachine(unet, setup));
}

function openCpuMachine(unet: Session, setup: SamplingSetup): SamplingMachine {
  let shown: Float32Array | null = null;
  const machine = new CpuMachine({
    pictures: setup.prompts.length,
    noise: setup.noise.first(),
    nextNoise: () => setup.noise.next(),
    denoise: createCpuDenoiser(unet, setup.shape, setup.prompts, setup.guidanceScale),
    ...(setup.brownian && { brownian: setup.brownian }),
    async show(latents, step) {
      if (!latents.every(Number.isFinite)) {
        throw new AppError('not_a_number', 'The latents came out as numbers that are none.');
      }
      shown = latents;
      await setup.show(step, () => Promise.resolve(latents));
    },
  });
  return Object.assign(machine, {
    latents: (register: Register) => Promise.resolve(machine.read(register)),
    estimate() {
      if (!shown) throw new AppError('cancelled', 'Stopped before the first step.');
      return Promise.resolve(shown);
    },
    close: () => undefined,
  });
}
