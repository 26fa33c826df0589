import type { Instruction, Register } from '#engine/samplers/program.ts';
import {
  CLEAN,
  cleanTerms,
  levelOfRatio,
  OUTPUT,
  type NoiseLevel,
  type PredictionType,
} from './prediction.ts';

/** Parts of the programs that keep their latents as clean + sigma · noise. */

/** Runs the network on latents in `from` at `sigma` and leaves the estimate of the clean ones in `x0`. */
export function* estimateClean(
  prediction: PredictionType,
  from: Register,
  sigma: number,
  timestep: number,
): Generator<Instruction, void, number | undefined> {
  const level = levelOfRatio(sigma);
  yield { op: 'denoise', from, to: OUTPUT, timestep, inputScale: level.alpha };
  yield { op: 'combine', to: CLEAN, terms: cleanTerms(prediction, level, from, level.alpha) };
}

/** Moves from `sigmaFrom` to `sigmaTo` on the line through the latents in `from` and their estimate in `x0`. */
export function eulerStep(to: Register, from: Register, sigmaFrom: number, sigmaTo: number): Instruction {
  const share = sigmaTo / sigmaFrom;
  return {
    op: 'combine',
    to,
    terms: [
      [share, from],
      [1 - share, CLEAN],
    ],
  };
}

/** Brings the latents in `x` up to a higher sigma; by 0 there is nothing to do. */
export function* addNoise(sigma: number): Generator<Instruction, void, number | undefined> {
  if (!(sigma > 0)) return;
  yield { op: 'noise', to: 'fresh' };
  yield {
    op: 'combine',
    to: 'x',
    terms: [
      [1, 'x'],
      [sigma, 'fresh'],
    ],
  };
}

/** Latents of image-to-image at a sigma. */
export function sigmaLevel(sigma: number | undefined): NoiseLevel {
  return { alpha: 1, sigma: sigma ?? NaN };
}

/**
 * Where an ancestral step goes down to, and how much fresh noise brings it up again to `to`.
 * Source: k-diffusion sampling.py, `get_ancestral_step`.
 */
export function ancestralStep(from: number, to: number): { down: number; up: number } {
  const up = Math.sqrt((to ** 2 * (from ** 2 - to ** 2)) / from ** 2);
  return { down: to ** 2 / from, up };
}
