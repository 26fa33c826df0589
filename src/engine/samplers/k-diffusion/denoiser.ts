import type { TrainingProcess } from '#engine/samplers/noise-model.ts';
import { interpolate, sigmasOf, timestepOfSigma } from '#engine/samplers/noise-schedule.ts';

/**
 * A network seen as a denoiser of `image + sigma · noise`, for any prediction type.
 * Source: Karras et al. 2022, table 1; k-diffusion external.py; ComfyUI model_sampling.py.
 */
export interface Denoiser {
  /** Noise levels of training, rising. */
  readonly sigmas: ArrayLike<number>;
  /** Latents are `(1 − sigma) · image + sigma · noise` (flow matching) instead. */
  readonly flow: boolean;
  /** Place of a sigma in `sigmas` on the network's scale of timesteps, generally fractional. */
  timestepOfSigma(sigma: number): number;
  /** The inverse of `timestepOfSigma`. */
  sigmaOfTimestep(timestep: number): number;
  /** The timestep given to the network at this sigma, and how its output becomes the denoised image. */
  at(sigma: number): Preconditioning;
  /** ᾱ of the training timesteps; empty if there is none. */
  readonly alphasCumprod: ArrayLike<number>;
}

/** `denoised = skip · x + output · network(input · x, timestep)` */
interface Preconditioning {
  timestep: number;
  input: number;
  skip: number;
  output: number;
}

type Diffusion = Extract<TrainingProcess, { kind: 'diffusion' }>;

/**
 * The denoiser of a discretely trained diffusion model, as k-diffusion's CompVisDenoiser and CompVisVDenoiser.
 * @param wholeTimesteps tell the network the nearest training timestep instead of a fraction (ComfyUI)
 */
export function createDiscreteDenoiser(process: Diffusion, wholeTimesteps: boolean): Denoiser {
  const { alphasCumprod, prediction } = process;
  const sigmas = sigmasOf(alphasCumprod);
  const logSigmas = Float64Array.from(sigmas, Math.log);
  const timestep = wholeTimesteps
    ? (sigma: number) => nearestIndex(logSigmas, Math.log(sigma))
    : (sigma: number) => timestepOfSigma(sigma, logSigmas);
  return {
    sigmas,
    flow: false,
    alphasCumprod,
    timestepOfSigma: timestep,
    sigmaOfTimestep: (at) => Math.exp(interpolate(logSigmas, at)),
    at: (sigma) => ({ timestep: timestep(sigma), ...diffusionScalings(prediction, sigma) }),
  };
}

/** Timesteps of the distillation and their distance in training timesteps (Luo et al. 2023). */
const DISTILLED_LEVELS = 50;

/** Network timesteps are multiplied by this in the consistency boundary conditions of LCM. */
const BOUNDARY_TIMESTEP_SCALE = 10;
const BOUNDARY_SIGMA_DATA = 0.5;

/**
 * The denoiser of a model distilled at every 20th timestep, as A1111's LCMCompVisDenoiser and ComfyUI's
 * ModelSamplingDiscreteDistilled.
 * @param boundary blend input and output so that timestep 0 is the identity (LCM; not TCD)
 */
export function createDistilledDenoiser(process: Diffusion, boundary: boolean): Denoiser {
  const { alphasCumprod, prediction } = process;
  const trained = sigmasOf(alphasCumprod);
  const levels = Math.min(DISTILLED_LEVELS, trained.length);
  const skip = Math.floor(trained.length / levels);
  const sigmas = Float32Array.from(
    { length: levels },
    (_, i) => trained[trained.length - 1 - (levels - 1 - i) * skip] ?? NaN,
  );
  const logSigmas = Float64Array.from(sigmas, Math.log);
  const timestep = (sigma: number) => nearestIndex(logSigmas, Math.log(sigma)) * skip + (skip - 1);
  return {
    sigmas,
    flow: false,
    alphasCumprod,
    timestepOfSigma: timestep,
    sigmaOfTimestep: (at) => Math.exp(interpolate(logSigmas, (at - (skip - 1)) / skip)),
    at(sigma) {
      const at = timestep(sigma);
      const scalings = diffusionScalings(prediction, sigma);
      if (!boundary) return { timestep: at, ...scalings };
      const scaled = at * BOUNDARY_TIMESTEP_SCALE;
      const power = scaled * scaled + BOUNDARY_SIGMA_DATA * BOUNDARY_SIGMA_DATA;
      const outputWeight = scaled / Math.sqrt(power);
      return {
        timestep: at,
        input: scalings.input,
        skip: outputWeight * scalings.skip + BOUNDARY_SIGMA_DATA ** 2 / power,
        output: outputWeight * scalings.output,
      };
    },
  };
}

/**
 * The denoiser of an EDM model such as Playground v2.5 (Karras et al. 2022), as ComfyUI's
 * ModelSamplingContinuousEDM with 1000 noise levels evenly spaced in log sigma.
 */
export function createEdmDenoiser(sigmaMin: number, sigmaMax: number, sigmaData: number): Denoiser {
  const count = 1000;
  const step = Math.log(sigmaMax / sigmaMin) / (count - 1);
  return {
    sigmas: Float64Array.from({ length: count }, (_, i) => sigmaMin * Math.exp(step * i)),
    flow: false,
    alphasCumprod: [],
    timestepOfSigma: (sigma) => 0.25 * Math.log(sigma),
    sigmaOfTimestep: (timestep) => Math.exp(timestep / 0.25),
    at(sigma) {
      const power = sigma * sigma + sigmaData * sigmaData;
      return {
        timestep: 0.25 * Math.log(sigma),
        input: 1 / Math.sqrt(power),
        skip: (sigmaData * sigmaData) / power,
        output: (sigma * sigmaData) / Math.sqrt(power),
      };
    },
  };
}

/**
 * The denoiser of a flow-matching model, as ComfyUI's ModelSamplingDiscreteFlow with CONST, and A1111's
 * SD3Denoiser, which places sigmas by their index in the table.
 * @param shift moves the noise levels upwards: shift·t / (1 + (shift − 1)·t)
 */
export function createFlowDenoiser(timesteps: number, shift: number): Denoiser {
  const sigmas = Float64Array.from({ length: timesteps }, (_, i) => {
    const t = (i + 1) / timesteps;
    return (shift * t) / (1 + (shift - 1) * t);
  });
  const logSigmas = sigmas.map(Math.log);
  return {
    sigmas,
    flow: true,
    alphasCumprod: [],
    timestepOfSigma: (sigma) => timestepOfSigma(sigma, logSigmas),
    sigmaOfTimestep: (timestep) => Math.exp(interpolate(logSigmas, timestep)),
    at: (sigma) => ({ timestep: sigma * timesteps, input: 1, skip: 1, output: -sigma }),
  };
}

function diffusionScalings(
  prediction: Diffusion['prediction'],
  sigma: number,
): Omit<Preconditioning, 'timestep'> {
  const power = sigma * sigma + 1;
  const input = 1 / Math.sqrt(power);
  switch (prediction) {
    case 'epsilon':
      return { input, skip: 1, output: -sigma };
    case 'v_prediction':
      return { input, skip: 1 / power, output: -sigma * input };
    case 'sample':
      return { input, skip: 0, output: 1 };
  }
}

function nearestIndex(rising: ArrayLike<number>, value: number): number {
  let nearest = 0;
  for (let i = 1; i < rising.length; i++) {
    if (Math.abs((rising[i] ?? NaN) - value) < Math.abs((rising[nearest] ?? NaN) - value)) nearest = i;
  }
  return nearest;
}
