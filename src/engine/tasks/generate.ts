import { readControls } from '#engine/stages/control/read-controls.ts';
import { decode } from '#engine/stages/decode/decode.ts';
import { denoise } from '#engine/stages/denoise/denoise.ts';
import { initLatents } from '#engine/stages/init/init-latents.ts';
import type { InitImages } from '#engine/stages/init/read-init.ts';
import { loadPass } from '#engine/stages/load/load-pass.ts';
import type { Pixels } from '#engine/stages/pixels/resize.ts';
import { preparePost } from '#engine/stages/post/post.ts';
import { encodePrompts } from '#engine/stages/prompts/encode-prompts.ts';
import { resolve, type Batch, type GeneratePlan } from '#engine/stages/resolve/resolve.ts';
import type { RunContext, Stage } from '#engine/stages/run/context.ts';
import { writeGenerationText } from '#engine/stages/write/infotext.ts';
import { writeImage } from '#engine/stages/write/write-image.ts';
import type { GenerateJob } from '#protocol/job.ts';

/** Images from prompts, batch by batch; each is handed over as it is finished. @throws AppError what its stages throw */
export const generate: Stage<GenerateJob, void> = async (run, job) => {
  const post = preparePost(run, job.post);
  const plan = await resolve(run, job);
  for (const batch of plan.batches) {
    if (run.stop.cancelled) break;
    run.stop.skipped = false;
    const { images, isComplete } = await runPasses(run, job, plan, batch);
    for (const [offset, image] of images.entries()) {
      const posted = isComplete ? await post(run, image) : null;
      const pixels = posted ?? (job.keepUnfinished ? image : null);
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
    }
  }
};

/** Each pass starts from the images of the one before it. A run that is stopped ends with the pass it is in. */
async function runPasses(
  run: RunContext,
  job: GenerateJob,
  { init, passes }: GeneratePlan,
  batch: Batch,
): Promise<{ images: readonly Pixels[]; isComplete: boolean }> {
  let from: InitImages | null = init && {
    ...init,
    images: init.images.slice(batch.from, batch.from + batch.images.length),
  };
  for (const pass of passes) {
    const loaded = await loadPass(run, { job, batch, pass });
    const prompts = await encodePrompts(run, loaded);
    const controls = await readControls(run, loaded);
    const latents = await initLatents(run, { ...loaded, from });
    const denoised = await denoise(run, { ...loaded, prompts, controls, latents });
    const images = await decode(run, { ...loaded, denoised });
    if (!denoised.isComplete) return { images, isComplete: false };
    from = { images, mask: init?.mask ?? null };
  }
  return { images: from?.images ?? [], isComplete: true };
}
