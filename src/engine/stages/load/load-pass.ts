import type { LoadedModel } from '#engine/models/model.ts';
import type { UnetOptions } from '#engine/models/networks.ts';
import { planSampling } from '#engine/samplers/index.ts';
import type { SamplingPlan, SamplingStart } from '#engine/samplers/sampling-plan.ts';
import { windowOf, windowsOf } from '#engine/stages/denoise/panorama.ts';
import type { LatentShape } from '#engine/stages/denoise/unet.ts';
import { readImagePrompts, type ShownImages } from '#engine/stages/image-prompts/read-image-prompts.ts';
import { isInpaintingModel, samplingStart } from '#engine/stages/init/sampling-start.ts';
import type { Batch, PlannedPass } from '#engine/stages/resolve/resolve.ts';
import type { RunContext, Stage } from '#engine/stages/run/context.ts';
import { toAppError } from '#protocol/error.ts';
import type { GenerateJob, Pass } from '#protocol/job.ts';

/** A pass to run over a batch. */
export interface PlannedBatch {
  job: GenerateJob;
  batch: Batch;
  pass: PlannedPass;
}

/** The same with its networks on the device. */
export interface LoadedBatch extends PlannedBatch {
  model: LoadedModel;
  start: SamplingStart;
  imagePrompts: readonly ShownImages[];
  /** That of the pass, now that it is known what its UNet takes. */
  plan: SamplingPlan;
}

/**
 * Puts the networks of a pass on the device, with the batch's LoRAs. What was loaded for another model leaves it.
 * @throws AppError see {@link Model.load}; `unsupported_feature` for samplers that cannot keep what is outside a mask
 */
export const loadPass: Stage<PlannedBatch, LoadedBatch> = async (run, planned) => {
  const { job, batch, pass } = planned;
  const { spec, index, vae, controlNets, inpaintPatch: patch, shape } = pass;
  const loras = pass.loras[batch.from]?.loras ?? [];
  const windows = windowsOf(spec, pass.model.pack, shape);
  run.progress.loading(index);
  const imagePrompts = await lookAtImages(run, pass);
  await run.vision.makeRoom(await run.models.bytes());
  const model = await run.models.load(
    pass.model,
    {
      vae,
      controlNets,
      ipAdapters: imagePrompts.map(({ adapter, images }) => ({
        pack: adapter,
        images: images.length,
        tokens: images[0].tokens.count,
        ...(images.some(({ region, layerWeights }) => region ?? layerWeights) && { parts: true }),
      })),
      unet: {
        ...unetOptions(spec, windows ? windowOf(shape, windows) : shape),
        ...(patch && { inpaintFeature: true }),
      },
      deepCache: deepCacheOf(run, pass),
      loras: patch ? [...loras, patch.lora] : loras,
    },
    run.addOns,
  );
  const start = samplingStart(job, index, spec, isInpaintingModel(model.unet, shape));
  return {
    ...planned,
    model,
    imagePrompts,
    start,
    plan: planSampling(spec.sampler, model.noiseModel, spec.steps, start),
  };
};

/** The networks of image prompts leave the device before the model's are loaded; where both do not fit, those leave first. */
async function lookAtImages(
  run: RunContext,
  { model, imagePrompts, index }: PlannedPass,
): Promise<ShownImages[]> {
  const input = { prompts: imagePrompts, passIndex: index };
  try {
    return await readImagePrompts(run, input);
  } catch (thrown) {
    if (toAppError(thrown).code !== 'out_of_memory') throw thrown;
    await model.release();
    return readImagePrompts(run, input);
  }
}

/** DeepCache's interval; none where image prompts or attention maps need all layers in each step. */
function deepCacheOf(run: RunContext, { spec, imagePrompts }: PlannedPass): number | undefined {
  const interval = spec.graph?.deepCache;
  if (interval === undefined) return undefined;
  if (imagePrompts.length === 0 && spec.selfAttentionGuidance === undefined) return interval;
  run.note('DeepCache has no effect with image prompts and with self-attention guidance.');
  return undefined;
}

/** How a pass wants the UNet written; FreeU and token merging need it for one size only. */
function unetOptions(
  { graph: { tiling = false, freeU, tokenMerging = 0 } = {}, selfAttentionGuidance }: Pass,
  { height, width }: LatentShape,
): UnetOptions {
  const isOfOneSize = freeU !== undefined || tokenMerging > 0;
  return {
    ...(tiling && { tiling }),
    ...(freeU && { freeU }),
    ...(selfAttentionGuidance && { selfAttention: true }),
    ...(tokenMerging > 0 && { tokenMerging: { ratio: tokenMerging } }),
    ...(isOfOneSize && { size: { height, width } }),
  };
}
