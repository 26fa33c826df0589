import { sigmasOf, timestepOfSigma } from '#engine/samplers/noise-schedule.ts';
import type { DenoiseInstruction, Register, Term } from '#engine/samplers/program.ts';
import { cleanTerms, levelOfRatio, noiseTerms, OUTPUT } from './prediction.ts';
import type { NetworkTraining } from './scheduler.ts';

/** A network seen by the samplers of the variance-exploding process: latents are clean + sigma · noise. */
export interface VeNetwork {
  /** Noise levels it knows. */
  range: { min: number; max: number };
  /** Runs the network on `from` at `sigma`. */
  run(from: Register, sigma: number): DenoiseInstruction;
  /** The clean latents that its output means. */
  clean(from: Register, sigma: number): Term[];
  /** The derivative of the latents by sigma that its output means: the noise, or −sigma times the score. */
  slope(from: Register, sigma: number): Term[];
}

/**
 * A network trained on the variance-preserving process, run in the variance-exploding form: its latents are
 * divided by √ᾱ (Karras et al. 2022, appendix C.3.1).
 */
export function adaptNetwork({ prediction, alphas }: NetworkTraining): VeNetwork {
  const sigmas = sigmasOf(alphas);
  const logSigmas = sigmas.map(Math.log);
  return {
    range: { min: sigmas[0] ?? NaN, max: sigmas.at(-1) ?? NaN },
    run: (from, sigma) => ({
      op: 'denoise',
      from,
      to: OUTPUT,
      timestep: timestepOfSigma(sigma, logSigmas),
      inputScale: levelOfRatio(sigma).alpha,
    }),
    clean: (from, sigma) => {
      const level = levelOfRatio(sigma);
      return cleanTerms(prediction, level, from, level.alpha);
    },
    slope: (from, sigma) => {
      const level = levelOfRatio(sigma);
      return noiseTerms(prediction, level, from, level.alpha);
    },
  };
}

/**
 * A network trained on the variance-exploding process, which takes sigma as its timestep.
 * @param slope weight of its output in the derivative of the latents by sigma
 */
export function trainedNetwork(range: VeNetwork['range'], slope: (sigma: number) => number): VeNetwork {
  return {
    range,
    run: (from, sigma) => ({ op: 'denoise', from, to: OUTPUT, timestep: sigma, inputScale: 1 }),
    clean: (from, sigma) => [
      [1, from],
      [-sigma * slope(sigma), OUTPUT],
    ],
    slope: (_, sigma) => [[slope(sigma), OUTPUT]],
  };
}
