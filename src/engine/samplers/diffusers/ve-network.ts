import { sigmasOf, timestepOfSigma } from '#engine/samplers/noise-schedule.ts';
import type { Instruction, Register } from '#engine/samplers/program.ts';
import type { NetworkTraining } from './scheduler.ts';
import { estimateClean } from './sigma-space.ts';

/** A network seen by the samplers of the variance-exploding process: latents are clean + sigma · noise. */
export interface VeNetwork {
  /** Noise levels of the network's training; without one, of the scheduler's own. */
  range: { min: number; max: number };
  /** Runs the network on `from` at `sigma`; the estimate of the clean latents lands in `x0`. */
  estimate(from: Register, sigma: number): Generator<Instruction, void, number | undefined>;
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
    estimate: (from, sigma) => estimateClean(prediction, from, sigma, timestepOfSigma(sigma, logSigmas)),
  };
}
