import { upscalePairs, type InfotextPair } from '#codecs/infotext.ts';
import type { RunContext, Stage } from '#engine/stages/run/context.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { PostStep } from '#protocol/job.ts';
import { prepareUpscaling } from './upscale.ts';

/** What is done to each finished image; null when it was stopped. */
export type PreparedStep = Stage<Pixels, Pixels | null>;

/** The stage of each kind of step. */
const kinds = { upscale: prepareUpscaling } as const satisfies Record<PostStep['kind'], unknown>;

/**
 * Prepares a job's post steps: they run in order on each image that comes. Nothing is loaded yet.
 * @throws AppError `model_not_found` for what is not installed; the stage itself throws what its steps do
 */
export function preparePost(run: RunContext, steps: readonly PostStep[]): PreparedStep {
  const prepared = steps.map((step) => kinds[step.kind](run, step));
  return async (context, image) => {
    let pixels: Pixels | null = image;
    for (const step of prepared) pixels = pixels && (await step(context, pixels));
    return pixels;
  };
}

/** What infotexts say of post steps. */
export function postPairs(steps: readonly PostStep[]): InfotextPair[] {
  return steps.flatMap((step) => upscalePairs(step));
}
