import type { Model } from '#engine/models/model.ts';
import { planSampling } from '#engine/samplers/index.ts';
import type { SamplingPlan } from '#engine/samplers/sampling-plan.ts';
import type { LatentShape } from '#engine/stages/denoise/unet.ts';
import type { PlannedImagePrompt } from '#engine/stages/image-prompts/read-image-prompts.ts';
import type { EncodedImages } from '#engine/stages/init/init-latents.ts';
import type { PreparedInits } from '#engine/stages/init/prepare-init.ts';
import { readInit, type InitSource } from '#engine/stages/init/read-init.ts';
import { samplingStart } from '#engine/stages/init/sampling-start.ts';
import { readPrompts, type ReadPrompts } from '#engine/stages/prompts/read-prompts.ts';
import type { Stage } from '#engine/stages/run/context.ts';
import { AppError } from '#protocol/error.ts';
import type { GenerateJob, ImageSpec, Pass, Size } from '#protocol/job.ts';
import type { AddOnPack } from '#protocol/model.ts';
import { splitBatches } from './batches.ts';
import { chooseInpaintPatch, type InpaintPatch } from './choose-inpaint-patch.ts';
import { chooseLoras, type LoraChoice } from './choose-loras.ts';
import { checkPasses, completePass, promptsOf } from './complete-pass.ts';
import { findAddOn, findModel } from './find-pack.ts';
import { planRefiner } from './plan-refiner.ts';
import { chooseRunSize } from './run-size.ts';

/** A pass with all that can be known of it before its networks are on the device. */
export interface PlannedPass {
  index: number;
  spec: Pass;
  model: Model;
  vae: AddOnPack | undefined;
  controlNets: readonly AddOnPack[];
  imagePrompts: readonly PlannedImagePrompt[];
  /** Pixels that the networks run at. */
  runSize: Size;
  /** Of one image's latents at that size. */
  shape: LatentShape;
  plan: SamplingPlan;
  /** Of each image of the job. */
  loras: readonly LoraChoice[];
  prompts: readonly ReadPrompts[];
  inpaintPatch: InpaintPatch | undefined;
  /** Filled as the pass meets them. */
  encoded: EncodedImages;
  preparedInits: PreparedInits;
  /** The same pass with the model that takes over in its course. */
  refiner?: PlannedPass;
}

/** Images that are generated together. */
export interface Batch {
  images: readonly ImageSpec[];
  /** Position of its first image in the job. */
  from: number;
}

/** A job made out. */
export interface GeneratePlan {
  /** Of each image of the job; null where they start from noise. */
  sources: readonly InitSource[] | null;
  passes: readonly [PlannedPass, ...PlannedPass[]];
  batches: readonly Batch[];
}

/**
 * Finds all that a job names, reads its images and prompts, and plans its passes, so that errors are reported before
 * anything is generated.
 * @throws AppError `model_not_found` for what is not installed, `invalid_request` for images, prompts and samplers that are
 *   none, `unsupported_feature` for what sampler, model or LoRAs cannot do
 */
export const resolve: Stage<GenerateJob, GeneratePlan> = async (run, job) => {
  const sources = await readInit(job);
  const found = job.passes.map((spec) => ({
    spec: completePass(job, spec, sources),
    pack: findModel(run, spec.model),
    vae: spec.vae === undefined ? undefined : findAddOn(run, 'vae', spec.vae),
    refiner: spec.refiner && findModel(run, spec.refiner.model),
  }));
  const controlNets = (job.controls ?? []).map(({ id }) => findAddOn(run, 'controlnet', id));
  const imagePrompts = (job.imagePrompts ?? []).map((spec) => ({
    spec,
    adapter: findAddOn(run, 'ip-adapter', spec.id),
    clipVision: findAddOn(run, 'clip-vision', spec.clipVision),
  }));
  const packs = found.flatMap(({ pack, refiner }) => (refiner ? [pack, refiner] : [pack]));
  const opened = await run.models.open([...packs, ...run.namedCheckpoints]);
  const models = new Map(packs.map((pack, index) => [pack, opened[index]]));

  const passes: PlannedPass[] = [];
  for (const [index, { spec, pack, vae, refiner }] of found.entries()) {
    const model = models.get(pack);
    if (!model) continue;
    const own = { ...job, images: promptsOf(job, spec) };
    const same = passes.find((pass) => pass.model === model && pass.spec.prompts === spec.prompts);
    // What the UNet takes is not known yet; the plan is made again when it is.
    const start = samplingStart(job, index, spec, true);
    const plan = planSampling(spec.sampler, model.noiseModel, spec.steps, start);
    const loras = same?.loras ?? (await chooseLoras(model, run.addOns, own, run.note));
    const pass: PlannedPass = {
      index,
      spec,
      model,
      vae,
      controlNets,
      imagePrompts,
      ...sizesOf(model, spec),
      plan,
      loras,
      prompts: await readPrompts(model, run.addOns, own, plan, loras, run.note),
      inpaintPatch: same ? same.inpaintPatch : await chooseInpaintPatch(run, model, job.init),
      encoded: { clean: new WeakMap(), hidden: new WeakMap(), features: new WeakMap() },
      preparedInits: new Map(),
    };
    const second = refiner && models.get(refiner);
    passes.push(second ? { ...pass, refiner: await planRefiner(run, own, pass, second) } : pass);
  }
  run.progress.expect(passes.map(({ plan: { steps }, runSize: size }) => ({ steps, size })));
  const [first, ...others] = passes;
  if (!first) throw new AppError('internal', 'The job has no pass.');
  checkPasses([first, ...others]);
  return { sources, passes: [first, ...others], batches: splitBatches(job, passes) };
};

function sizesOf({ pack }: Model, { size, panorama, tiles }: Pass): Pick<PlannedPass, 'runSize' | 'shape'> {
  const { channels, downscale } = pack.latent;
  const runSize = chooseRunSize(panorama || tiles ? { ...pack, sizing: 'exact' } : pack, size);
  return {
    runSize,
    shape: { channels, height: runSize.height / downscale, width: runSize.width / downscale },
  };
}
