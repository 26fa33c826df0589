import type { Model } from '#engine/models/model.ts';
import { planSampling } from '#engine/samplers/index.ts';
import type { SamplingPlan } from '#engine/samplers/sampling-plan.ts';
import type { LatentShape } from '#engine/stages/denoise/unet.ts';
import type { EncodedImages } from '#engine/stages/init/init-latents.ts';
import { readInit, type InitImages } from '#engine/stages/init/read-init.ts';
import { samplingStart } from '#engine/stages/init/sampling-start.ts';
import { readPrompts, type ReadPrompts } from '#engine/stages/prompts/read-prompts.ts';
import type { Stage } from '#engine/stages/run/context.ts';
import { AppError } from '#protocol/error.ts';
import type { GenerateJob, ImageSpec, Pass, Size } from '#protocol/job.ts';
import type { AddOnPack } from '#protocol/model.ts';
import { splitBatches } from './batches.ts';
import { chooseLoras, type LoraChoice } from './choose-loras.ts';
import { findAddOn, findModel } from './find-pack.ts';
import { chooseRunSize } from './run-size.ts';

/** A pass with all that can be known of it before its networks are on the device. */
export interface PlannedPass {
  index: number;
  spec: Pass;
  model: Model;
  vae: AddOnPack | undefined;
  controlNets: readonly AddOnPack[];
  /** Pixels that the networks run at. */
  runSize: Size;
  /** Of one image's latents at that size. */
  shape: LatentShape;
  plan: SamplingPlan;
  /** Of each image of the job. */
  loras: readonly LoraChoice[];
  prompts: readonly ReadPrompts[];
  /** Filled as the pass meets them. */
  encoded: EncodedImages;
}

/** Images that are generated together. */
export interface Batch {
  images: readonly ImageSpec[];
  /** Position of its first image in the job. */
  from: number;
}

/** A job made out. */
export interface GeneratePlan {
  init: InitImages | null;
  passes: readonly [PlannedPass, ...PlannedPass[]];
  batches: readonly Batch[];
}

/**
 * Finds all that a job names, reads its images and prompts, and plans its passes, so that what is wrong is said before
 * anything is generated.
 * @throws AppError `model_not_found` for what is not installed, `invalid_request` for images, prompts and samplers that are
 *   none, `unsupported_feature` for what sampler, model or LoRAs cannot do
 */
export const resolve: Stage<GenerateJob, GeneratePlan> = async (run, job) => {
  const found = job.passes.map((spec) => ({
    spec,
    pack: findModel(run, spec.model),
    vae: spec.vae === undefined ? undefined : findAddOn(run, 'vae', spec.vae),
  }));
  const controlNets = (job.controls ?? []).map(({ id }) => findAddOn(run, 'controlnet', id));
  const models = await run.models.open(found.map(({ pack }) => pack));
  const init = await readInit(job.init, job.images.length);

  const passes: PlannedPass[] = [];
  for (const [index, { spec, vae }] of found.entries()) {
    const model = models[index];
    if (!model) continue;
    const same = passes.find((pass) => pass.model === model);
    // What the UNet takes is not known yet; the plan is made again when it is.
    const start = samplingStart(job, index, spec, true);
    const plan = planSampling(spec.sampler, model.noiseModel, spec.steps, start);
    passes.push({
      index,
      spec,
      model,
      vae,
      controlNets,
      ...sizesOf(model, spec),
      plan,
      loras: same?.loras ?? (await chooseLoras(model, run.addOns, job, run.note)),
      prompts: await readPrompts(model, run.addOns, job, plan, run.note),
      encoded: { clean: new WeakMap(), hidden: new WeakMap() },
    });
  }
  run.progress.expect(passes.map(({ plan: { steps }, runSize: size }) => ({ steps, size })));
  const [first, ...others] = passes;
  if (!first) throw new AppError('internal', 'The job has no pass.');
  return { init, passes: [first, ...others], batches: splitBatches(job, passes) };
};

function sizesOf({ pack }: Model, { size }: Pass): Pick<PlannedPass, 'runSize' | 'shape'> {
  const { channels, downscale } = pack.latent;
  const runSize = chooseRunSize(pack, size);
  return {
    runSize,
    shape: { channels, height: runSize.height / downscale, width: runSize.width / downscale },
  };
}
