import { explainMisfit } from '#engine/models/misfit.ts';
import type { Model } from '#engine/models/model.ts';
import { readPrompts } from '#engine/stages/prompts/read-prompts.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import { AppError } from '#protocol/error.ts';
import type { GenerateJob } from '#protocol/job.ts';
import type { AddOnPack } from '#protocol/model.ts';
import { chooseLoras } from './choose-loras.ts';
import type { PlannedPass } from './resolve.ts';

/**
 * The pass with the refiner's networks; parts that only fit its own model are left out.
 * @param job with the prompts of the pass
 * @throws AppError `invalid_request` for a refiner of another latent space, and what reading prompts and LoRAs throws
 */
export async function planRefiner(
  run: RunContext,
  job: GenerateJob,
  pass: PlannedPass,
  model: Model,
): Promise<PlannedPass> {
  const { channels, downscale } = model.pack.latent;
  const own = pass.model.pack.latent;
  if (channels !== own.channels || downscale !== own.downscale) {
    throw new AppError(
      'invalid_request',
      `${model.pack.title} cannot refine what ${pass.model.pack.title} generates: their latents differ. Choose another refiner.`,
    );
  }
  const fits = (addOn: AddOnPack) => explainMisfit(model, addOn) === null;
  const unnoted = () => undefined;
  const loras = await chooseLoras(model, run.addOns, job, unnoted);
  return {
    ...pass,
    model,
    vae: pass.vae && fits(pass.vae) ? pass.vae : undefined,
    controlNets: pass.controlNets.every(fits) ? pass.controlNets : [],
    imagePrompts: pass.imagePrompts.filter(({ adapter }) => fits(adapter)),
    loras,
    inpaintPatch: undefined,
    prompts: await readPrompts(model, run.addOns, job, pass.plan, loras, unnoted),
  };
}
