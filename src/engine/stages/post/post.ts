import { upscalePairs, type InfotextPair } from '#codecs/infotext.ts';
import type { RunContext, Stage } from '#engine/stages/run/context.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { ImageSpec, PostStep } from '#protocol/job.ts';
import { prepareDetail } from './detail.ts';
import { prepareSafety } from './hide-unsafe.ts';
import { prepareFaceRestoration } from './restore-faces.ts';
import { prepareUpscaling } from './upscale.ts';

/** A finished image. */
export interface PostInput {
  pixels: Pixels;
  /** Its position in the job. */
  index: number;
  /** What it was made from. */
  spec: ImageSpec;
}

/** What is done to each finished image; null when it was stopped. */
export type PreparedStep = Stage<PostInput, Pixels | null>;

type Prepare<S extends PostStep> = (run: RunContext, step: S) => PreparedStep;

/** The stage of each kind of step. */
const kinds: { readonly [Kind in PostStep['kind']]: Prepare<Extract<PostStep, { kind: Kind }>> } = {
  upscale: prepareUpscaling,
  detail: prepareDetail,
  'restore-faces': prepareFaceRestoration,
  safety: prepareSafety,
};

/**
 * Prepares a job's post steps: they run in order on each image that comes. Nothing is loaded yet.
 * @throws AppError `model_not_found` for what is not installed; the stage itself throws what its steps do
 */
export function preparePost(run: RunContext, steps: readonly PostStep[]): PreparedStep {
  // The table has each step's own stage under its own kind.
  const prepared = steps.map((step) => (kinds[step.kind] as unknown as Prepare<PostStep>)(run, step));
  return async (context, input) => {
    let pixels: Pixels | null = input.pixels;
    for (const step of prepared) pixels = pixels && (await step(context, { ...input, pixels }));
    return pixels;
  };
}

/** What infotexts say of post steps. */
export function postPairs(steps: readonly PostStep[]): InfotextPair[] {
  return steps.flatMap((step) => {
    switch (step.kind) {
      case 'upscale':
        return upscalePairs(step);
      case 'detail':
      case 'restore-faces':
        return step.infotext;
      case 'safety':
        return [];
    }
  });
}
