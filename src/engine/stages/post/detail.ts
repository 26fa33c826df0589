import { runPasses } from '#engine/stages/passes/run-passes.ts';
import { readPixels } from '#engine/stages/pixels/read-image.ts';
import { stretchMask } from '#engine/stages/init/read-init.ts';
import { findAddOn, findModel } from '#engine/stages/resolve/find-pack.ts';
import { expandPrompts } from '#engine/stages/prompts/expand-prompts.ts';
import { resolve } from '#engine/stages/resolve/resolve.ts';
import { isStopped, type RunContext } from '#engine/stages/run/context.ts';
import { progressOfPart } from '#engine/stages/run/progress.ts';
import { toPng } from '#engine/stages/write/encode-image.ts';
import { findRegions } from '#engine/vision/find-regions.ts';
import { createBinaryMask } from '#imaging/a1111/mask.ts';
import { regionMasks } from '#imaging/masks/region-rules.ts';
import { blend } from '#imaging/pillow/blend.ts';
import { invert, toRgb } from '#imaging/pillow/convert.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { DetailPrompt, DetailStep, GenerateJob, ImageSpec, RegionRules, Size } from '#protocol/job.ts';
import { requirementsOfStep } from '#protocol/tasks.ts';
import type { PreparedStep } from './post.ts';

/** What the image's own prompt is called within the prompts of a region. */
const OWN_PROMPT = '[PROMPT]';

/**
 * Prepares a detail step of a job: each region that its finder finds is inpainted by a job of its own, one after the other.
 * Source: ADetailer, scripts/!adetailer.py, `_postprocess_image_inner`.
 * @returns the step: null when it was stopped. Throws AppError what finding and generating throw
 * @throws AppError `model_not_found` for what is not installed
 */
export function prepareDetail(run: RunContext, step: DetailStep): PreparedStep {
  for (const { kind, id } of requirementsOfStep(step)) {
    if (kind === 'model') findModel(run, id);
    else findAddOn(run, kind, id);
  }

  return async (context, { pixels, index, spec }) => {
    const found = await findRegions(context, step.finder, toRgb(pixels));
    const masks = await touchingOnly(regionMasks(found, step.regions, pixels), step.regions);
    if (masks.length === 0) {
      context.note(`Image ${index + 1} stays as it is: nothing to inpaint was found in it.`);
    }
    const part = { ...context, progress: progressOfPart(context.progress) };
    let image = pixels;
    for (const [region, mask] of masks.entries()) {
      if (isStopped(context)) return null;
      const prompt = step.prompts?.[Math.min(region, step.prompts.length - 1)];
      if (prompt === 'skip') continue;
      const job = jobOf(step, specOf(step, spec, prompt, region), image, mask);
      const inpainted = await inpaint(part, job);
      if (!inpainted) return null;
      image = inpainted;
    }
    return isSeenThrough(step, image, pixels) ? blend(toRgb(pixels), image, step.visibility) : image;
  };
}

/** Source: ADetailer, scripts/!adetailer.py, `inpaint_mask_filter`. */
async function touchingOnly(masks: readonly Pixels[], { touching }: RegionRules): Promise<readonly Pixels[]> {
  const [first] = masks;
  if (!touching || !first) return masks;
  const sent = createBinaryMask(await readPixels(touching.mask), true);
  const { data } = stretchMask(touching.invert ? invert(sent) : sent, first);
  return masks.filter((mask) => mask.data.some((value, i) => value > 0 && (data[i] ?? 0) > 0));
}

/** Whether the result is blended with what was there; a whole image inpainted at another size has nothing to be blended with. */
function isSeenThrough(
  step: DetailStep,
  result: Size,
  { width, height }: Size,
): step is DetailStep & { visibility: number } {
  const isSame = result.width === width && result.height === height;
  return isSame && step.visibility !== undefined && step.visibility < 1;
}

/** A job's only image; null when it was stopped. */
async function inpaint(run: RunContext, asked: GenerateJob): Promise<Pixels | null> {
  const job = await expandPrompts(run, asked);
  const plan = await resolve(run, job);
  const [batch] = plan.batches;
  if (!batch) return null;
  const { images, isComplete } = await runPasses(run, { job, plan, batch });
  return isComplete ? (images[0]?.image ?? null) : null;
}

/** What a region is generated from. */
function specOf(
  { seedStep }: DetailStep,
  spec: ImageSpec,
  prompt: Exclude<DetailPrompt, 'skip'> | undefined,
  region: number,
): ImageSpec {
  const shift = BigInt(seedStep * region);
  const { pooledTexts } = spec;
  return {
    prompt: fillIn(prompt?.prompt, spec.prompt),
    negativePrompt: fillIn(prompt?.negativePrompt, spec.negativePrompt),
    seed: BigInt.asUintN(64, spec.seed + shift),
    subseed: BigInt.asUintN(64, spec.subseed + shift),
    ...(prompt?.expansion ? { expansion: prompt.expansion } : pooledTexts !== undefined && { pooledTexts }),
  };
}

function fillIn(texts: readonly string[] | undefined, own: readonly string[]): readonly string[] {
  if (texts === undefined || texts.every((text) => text === '')) return own;
  return texts.flatMap((text) =>
    text === OWN_PROMPT ? own : text.replaceAll(OWN_PROMPT, () => own.join(', ')),
  );
}

function jobOf(
  { pass, noise, promptOptions, loras, controls, inpaint: init }: DetailStep,
  spec: ImageSpec,
  image: Pixels,
  mask: Pixels,
): GenerateJob {
  return {
    task: 'generate',
    images: [spec],
    batchSize: 1,
    init: {
      ...init,
      from: 'masked',
      images: [toPng(image)],
      mask: { kind: 'image', mask: toPng(mask), invert: false },
    },
    passes: [pass],
    noise,
    promptOptions,
    ...(loras && { loras }),
    ...(controls && { controls }),
    post: [],
    output: { format: 'png', quality: 1, metadata: null },
    keepUnfinished: false,
  };
}
