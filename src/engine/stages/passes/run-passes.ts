import { readControls } from '#engine/stages/control/read-controls.ts';
import { restoreAround } from '#engine/stages/control/restoration.ts';
import { decode, type Made } from '#engine/stages/decode/decode.ts';
import { denoise } from '#engine/stages/denoise/denoise.ts';
import { initLatents } from '#engine/stages/init/init-latents.ts';
import { finishImages, prepareInits, sourcesOf } from '#engine/stages/init/prepare-init.ts';
import type { FinishedImage } from '#engine/stages/init/prepared.ts';
import { loadPass } from '#engine/stages/load/load-pass.ts';
import { encodePrompts } from '#engine/stages/prompts/encode-prompts.ts';
import { startNextPass } from '#engine/stages/resize/next-pass.ts';
import type { Batch, GeneratePlan } from '#engine/stages/resolve/resolve.ts';
import type { Stage } from '#engine/stages/run/context.ts';
import type { GenerateJob } from '#protocol/job.ts';

/** A batch of a job whose passes are planned. */
export interface PassesInput {
  job: GenerateJob;
  plan: GeneratePlan;
  batch: Batch;
}

/** What the passes make of a batch. */
export interface PassesOutput {
  images: FinishedImage[];
  /** Whether they ran to their end. */
  isComplete: boolean;
}

/**
 * All passes over a batch: each starts from what the one before it made. A run that is stopped ends with the pass it is in.
 * @throws AppError what its stages throw
 */
export const runPasses: Stage<PassesInput, PassesOutput> = async (run, { job, plan, batch }) => {
  let made: Made | null = null;
  for (const pass of plan.passes) {
    const inits = await prepareInits(run, { job, plan, batch, pass });
    const sources = made ? await startNextPass(run, { pass, made, inits }) : sourcesOf(inits);
    const loaded = await loadPass(run, { job, batch, pass });
    const prompts = await encodePrompts(run, loaded);
    const controls = await readControls(run, { ...loaded, inits });
    const latents = await initLatents(run, { ...loaded, sources });
    const denoised = await denoise(run, { ...loaded, inits, prompts, controls, latents });
    const next = plan.passes[pass.index + 1];
    made = await decode(run, { ...loaded, denoised, next, latents });
    if (!made.isComplete || !next)
      return {
        images: restoreAround(await finishImages(made, inits), controls),
        isComplete: made.isComplete,
      };
  }
  return { images: [], isComplete: true };
};
