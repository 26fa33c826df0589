import type { LoadedBatch } from '#engine/stages/load/load-pass.ts';
import type { Stage } from '#engine/stages/run/context.ts';
import type { EncodedPrompt } from '#engine/text/encode.ts';
import { encodeConditioning } from './conditioning.ts';

/** Runs the text encoders on the prompts of a batch; one result for each image. @throws AppError see {@link encodeConditioning} */
export const encodePrompts: Stage<LoadedBatch, EncodedPrompt[]> = async (
  run,
  { job, batch, pass, model },
) => {
  run.progress.encoding();
  const encoded: EncodedPrompt[] = [];
  for (const read of pass.prompts.slice(batch.from, batch.from + batch.images.length)) {
    const options = {
      promptOptions: job.promptOptions,
      guidanceScale: pass.spec.guidanceScale,
      size: pass.runSize,
      sizeConditioning: pass.spec.sizeConditioning,
      fooocusSizes: pass.spec.fooocusGuidance?.sizes,
    };
    encoded.push(await encodeConditioning(model, read, options, run.note));
  }
  return encoded;
};
