import { readControls } from '#engine/stages/control/read-controls.ts';
import { decode, type Made } from '#engine/stages/decode/decode.ts';
import { denoise } from '#engine/stages/denoise/denoise.ts';
import { initLatents } from '#engine/stages/init/init-latents.ts';
import { finishImages, prepareInits, sourcesOf } from '#engine/stages/init/prepare-init.ts';
import type { FinishedImage } from '#engine/stages/init/prepared.ts';
import { loadPass } from '#engine/stages/load/load-pass.ts';
import { preparePost } from '#engine/stages/post/post.ts';
import { encodePrompts } from '#engine/stages/prompts/encode-prompts.ts';
import { startNextPass } from '#engine/stages/resize/next-pass.ts';
import { resolve, type Batch, type GeneratePlan } from '#engine/stages/resolve/resolve.ts';
import type { RunContext, Stage } from '#engine/stages/run/context.ts';
import { writeGenerationText } from '#engine/stages/write/infotext.ts';
import { writeImage, writeMasks } from '#engine/stages/write/write-image.ts';
import type { GenerateJob } from '#protocol/job.ts';

/** Images from prompts, batch by batch; each is handed over when it is finished. @throws AppError what its stages throw */
export const generate: Stage<GenerateJob, void> = async (run, job) => {
  const post = preparePost(run, job.post);
  const plan = await resolve(run, job);
  for (const batch of plan.batches) {
    if (run.stop.cancelled) break;
    run.stop.skipped = false;
    const { images, isComplete } = await runPasses(run, job, plan, batch);
    for (const [offset, finished] of images.entries()) {
      const posted = isComplete ? await post(run, finished.image) : null;
      const pixels = posted ?? (job.keepUnfinished ? finished.image : null);
      const index = batch.from + offset;
      const spec = batch.images[offset];
      if (!pixels || !spec) continue;
      const infotext = writeGenerationText(job, index, plan.passes, posted ? job.post : []);
      await writeImage(run, {
        pixels,
        facts: { ...spec, index, infotext },
        output: job.output,
        texts: job.output.texts?.[index] ?? (job.output.metadata ? { parameters: infotext } : {}),
      });
      await writeMasks(run, { finished, index, roles: job.output.masks ?? [] });
    }
  }
};

/** Each pass starts from what the one before it made. A run that is stopped ends with the pass it is in. */
async function runPasses(
  run: RunContext,
  job: GenerateJob,
  plan: GeneratePlan,
  batch: Batch,
): Promise<{ images: FinishedImage[]; isComplete: boolean }> {
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
      return { images: await finishImages(made, inits), isComplete: made.isComplete };
  }
  return { images: [], isComplete: true };
}
