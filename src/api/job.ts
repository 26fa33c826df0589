import type { NoiseSpec, ImageSpec, PromptOptions } from '#protocol/job.ts';

/** Noise of torch's CPU generator, without variations. */
export const TORCH_NOISE: NoiseSpec = { source: 'torch-cpu', subseedStrength: 0, etaNoiseSeedDelta: 0 };

/** Prompts as diffusers reads them: as they stand. */
export const PLAIN_PROMPT: PromptOptions = {
  syntax: 'plain',
  emphasis: 'none',
  clipSkip: 1,
  commaPaddingBacktrack: 0,
};

/** A random seed, for clients that leave it open: 32 random bits. */
export function randomSeed(): bigint {
  return BigInt(crypto.getRandomValues(new Uint32Array(1))[0] ?? 0);
}

/** Images of one prompt whose seeds count up. */
export function countingSeeds(count: number, image: Omit<ImageSpec, 'subseed'>): ImageSpec[] {
  return Array.from({ length: count }, (_, index) => ({
    ...image,
    seed: BigInt.asUintN(64, image.seed + BigInt(index)),
    subseed: 0n,
  }));
}

/** The largest multiple of 8 that is not above `pixels`, and at least 8. */
export function multipleOf8(pixels: number): number {
  return Math.max(8, Math.floor(pixels / 8) * 8);
}
