import type { ChosenLora } from '#engine/models/add-ons.ts';
import { explainMisfit } from '#engine/models/misfit.ts';
import type { Model } from '#engine/models/model.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import type { InpaintHead } from '#imaging/fooocus/inpaint-head.ts';
import { toAppError } from '#protocol/error.ts';
import type { Init } from '#protocol/job.ts';
import { findAddOn } from './find-pack.ts';

/** What makes a checkpoint an inpainting model, see {@link InpaintPatchSpec}. */
export interface InpaintPatch {
  head: InpaintHead;
  /** The changes of the UNet's weights. */
  lora: ChosenLora;
}

/**
 * The inpaint patch of a job; undefined where it names none, or one that does not fit the model, which is noted.
 * @throws AppError `model_not_found` for packs that are not installed, and what reading their files throws
 */
export async function chooseInpaintPatch(
  run: RunContext,
  model: Model,
  init: Init,
): Promise<InpaintPatch | undefined> {
  const spec = init.from === 'masked' ? init.patch : undefined;
  if (!spec) return undefined;
  const head = findAddOn(run, 'inpaint-patch', spec.head);
  const weights = findAddOn(run, 'inpaint-patch', spec.weights);
  const misfit = explainMisfit(model, weights);
  if (misfit !== null) {
    run.note(`The inpaint patch “${weights.title}” had no effect: ${misfit}`);
    return undefined;
  }
  const lora = await run.addOns.readInpaintPatch(weights);
  try {
    model.matchLora(lora);
  } catch (thrown) {
    const error = toAppError(thrown);
    if (error.code !== 'invalid_request') throw error;
    run.note(`The inpaint patch “${weights.title}” had no effect: ${error.message}`);
    return undefined;
  }
  return {
    head: await run.addOns.readInpaintHead(head),
    lora: { pack: weights, lora, strength: 1, textEncoderStrength: 0 },
  };
}
