import { runPasses } from '#engine/stages/passes/run-passes.ts';
import { preparePost } from '#engine/stages/post/post.ts';
import { expandPrompts } from '#engine/stages/prompts/expand-prompts.ts';
import { resolve } from '#engine/stages/resolve/resolve.ts';
import type { Stage } from '#engine/stages/run/context.ts';
import { writeGenerationText } from '#engine/stages/write/infotext.ts';
import { writeImage, writeMasks } from '#engine/stages/write/write-image.ts';
import type { GenerateJob } from '#protocol/job.ts';

/** Images from prompts, batch by batch; each is handed over when it is finished. @throws AppError what its stages throw */
export const generate: Stage<GenerateJob, void> = async (run, asked) => {
  const post = preparePost(run, asked.post);
  const lastly = preparePost(
    run,
    asked.post.filter(({ kind }) => kind === 'safety'),
  );
  const job = await expandPrompts(run, asked);
  const plan = await resolve(run, job);
  for (const batch of plan.batches) {
    if (run.stop.cancelled) break;
    run.stop.skipped = false;
    const { images, isComplete } = await (job.skipPasses ? untouched : runPasses)(run, { job, plan, batch });
    for (const [offset, finished] of images.entries()) {
      const index = batch.from + offset;
      const spec = batch.images[offset];
      if (!spec) continue;
      const input = { pixels: finished.image, index, spec };
      const posted = isComplete ? await post(run, input) : null;
      const pixels = posted ?? (job.keepUnfinished ? await lastly(run, input) : null);
      if (!pixels) continue;
      const infotext = writeGenerationText(job, index, plan.passes, posted ? job.post : []);
      const { prompt, negativePrompt, seed, subseed } = spec;
      await writeImage(run, {
        pixels,
        facts: { prompt, negativePrompt, seed, subseed, index, infotext },
        output: job.output,
        texts: job.output.texts?.[index] ?? (job.output.metadata ? { parameters: infotext } : {}),
      });
      await writeMasks(run, { finished, index, roles: job.output.masks ?? [] });
    }
  }
};

/** The init images of a batch, as they were sent. */
const untouched: typeof runPasses = (_, { plan, batch }) => {
  const sources = plan.sources?.slice(batch.from, batch.from + batch.images.length) ?? [];
  return Promise.resolve({ images: sources.map(({ image }) => ({ image })), isComplete: true });
};
