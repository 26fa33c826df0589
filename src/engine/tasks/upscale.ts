import { readImage } from '#engine/stages/pixels/read-image.ts';
import { preparePost } from '#engine/stages/post/post.ts';
import type { Stage } from '#engine/stages/run/context.ts';
import { yieldToEvents } from '#engine/stages/run/yield-to-events.ts';
import { readSourceTexts } from '#engine/stages/write/source-texts.ts';
import { writeImage } from '#engine/stages/write/write-image.ts';
import type { UpscaleJob } from '#protocol/job.ts';

/** White, under what is transparent. */
const BACKGROUND = 255;

/**
 * Post steps on images that exist already, one after the other, as A1111's extras (modules/postprocessing.py).
 * @throws AppError `invalid_request` for files that are not images, and what its stages throw
 */
export const upscale: Stage<UpscaleJob, void> = async (run, job) => {
  const post = preparePost(run, job.post);
  for (const [index, source] of job.sources.entries()) {
    await yieldToEvents();
    if (run.stop.cancelled) break;
    run.stop.skipped = false;
    const { facts, texts } = await readSourceTexts(source, job.post);
    const image = await readImage(source.image, BACKGROUND);
    const pixels = await post(run, { pixels: image, index, spec: facts });
    if (!pixels) continue;
    await writeImage(run, {
      pixels,
      facts: { ...facts, index },
      output: job.output,
      texts: job.output.texts ? texts : {},
    });
  }
};
