import { findModel, selectedModel } from '#api/models.ts';
import { planUpscale, planVary } from '#imaging/fooocus/upscale-or-vary.ts';
import type {
  DetailPrompt,
  DetailStep,
  ImageSpec,
  Pass,
  PostStep,
  RegionRules,
  UpscaleStep,
} from '#protocol/job.ts';
import type { EnhanceInput, InputImages } from './input-images.ts';
import { chooseSeed, toGenerateJob, type Installed, type JobPlan } from './map.ts';
import { chooseInpaintPatch } from './inpaint-patch.ts';
import { chooseFinder } from './mask-finder.ts';
import { encodingOf } from './output.ts';
import { splitPromptLines } from './prompt.ts';
import type { CommonRequest } from './schema.ts';
import { chooseUpscaler, fillOf, INPAINT_SIZE } from './start.ts';
import type { Enhancement } from './tool-bodies.ts';
import { refusalOf, wrongValue } from './wrong-value.ts';

/** Of requests that start from nothing sent. */
const NO_IMAGES: InputImages = { upscaleOrVary: null, inpaint: null, enhance: null, prompts: [] };

/** All that is found counts, as one mask. */
const EVERY_REGION: RegionRules = {
  minScore: 0,
  minShare: 0,
  maxShare: 1,
  offset: { x: 0, y: 0 },
  grow: 0,
  merge: 'merge',
};

/** A step of an image that is generated again. */
type Prompted = Pick<CommonRequest, 'prompt' | 'negative_prompt'>;

/**
 * The job of an image that is enhanced: up to three regions are found and inpainted one after the other; before them or
 * after them the image is upscaled or varied. Source: Fooocus-API, fooocusapi/worker.py, `process_enhance` and what calls it.
 * @throws AppError as {@link toGenerateJob}, and for masks that nothing here can find
 */
export function toEnhanceJob(
  asked: CommonRequest,
  enhance: EnhanceInput,
  installed: Installed,
  sent: ReadonlySet<string>,
): JobPlan {
  const { image, method, isAfter } = enhance;
  const request = { ...asked, image_number: 1, image_seed: chooseSeed(asked.image_seed) };
  const isBefore = method.kind !== 'disabled' && !isAfter;
  const plain = toGenerateJob(request, NO_IMAGES, installed, sent);
  const details = enhance.enhancements.map((enhancement, index) =>
    toDetail(enhancement, index, { request, enhance, installed, sent }),
  );
  const last = isAfter ? stepsAfter(request, enhance, installed, sent) : [];
  const withoutEffect = [
    ...plain.withoutEffect,
    ...enhance.withoutEffect,
    ...enhance.enhancements.flatMap(({ enhance_inpaint_engine: engine }, index) =>
      patchOf(engine, request, installed) === 'missing'
        ? [`enhance_ctrlnets.${index}.enhance_inpaint_engine`]
        : [],
    ),
  ];

  if (isBefore && (method.kind === 'vary' || planOf(request, enhance)?.diffusion)) {
    const started = { ...NO_IMAGES, upscaleOrVary: { image, method } };
    const { job } = toGenerateJob(request, started, installed, sent);
    return { job: { ...job, post: details }, withoutEffect };
  }
  const steps = [...(isBefore ? [upscaleStep(request, enhance, installed)] : []), ...details, ...last];
  const [first, ...others] = steps;
  if (!first) throw wrongValue('enhance_uov_method', 'There is nothing to do.');
  return {
    withoutEffect,
    job: {
      task: 'upscale',
      sources: [
        { image: image.file, known: { prompt: request.prompt, seed: request.image_seed, infotext: '' } },
      ],
      post: [first, ...others],
      output: {
        ...encodingOf(request),
        texts: request.save_meta && request.save_extension !== 'jpg',
      },
    },
  };
}

interface EnhanceContext {
  request: CommonRequest;
  enhance: EnhanceInput;
  installed: Installed;
  sent: ReadonlySet<string>;
}

/** What is done to one region. */
function toDetail(enhancement: Enhancement, index: number, context: EnhanceContext): DetailStep {
  const { request, installed } = context;
  const { debugging_dino: boxes, dino_erode_or_dilate: grownBoxes } = request.advanced_params;
  const {
    enhance_mask_model: model,
    enhance_mask_dino_prompt: text,
    enhance_inpaint_engine: engine,
    enhance_inpaint_strength: strength,
    enhance_inpaint_disable_initial_latent: isEmpty,
  } = enhancement;
  const patch = patchOf(engine, request, installed);
  const where = `enhance_ctrlnets.${index}`;
  const { finder, grow } = chooseFinder(
    {
      model,
      text,
      boxThreshold: enhancement.enhance_mask_box_threshold,
      maxDetections: enhancement.enhance_mask_sam_max_detections,
      boxes,
      grow: grownBoxes,
    },
    installed.addOns,
    { model: `${where}.enhance_mask_model`, text: `${where}.enhance_mask_dino_prompt` },
  );
  const grown = Math.trunc(enhancement.enhance_inpaint_erode_or_dilate) + grow;
  return {
    ...detailOf(filledPrompts(enhancement, request), context),
    finder,
    regions: {
      ...EVERY_REGION,
      grow: squareOf(grown),
      merge: enhancement.enhance_mask_invert ? 'invert' : 'merge',
    },
    inpaint: {
      rules: 'fooocus',
      fit: 'stretch',
      fill: fillOf(strength, isEmpty),
      blur: { x: 0, y: 0 },
      round: true,
      area: { field: enhancement.enhance_inpaint_respective_field },
      overlay: true,
      ...(patch !== null && patch !== 'missing' && { patch }),
    },
    pass: { ...passOf(context), size: INPAINT_SIZE, strength },
    infotext: [[`Enhance ${index + 1}`, model === 'sam' ? text : model]],
  };
}

/** The inpaint patch of an enhancement. */
function patchOf(engine: string, { base_model_name: name }: CommonRequest, { models, addOns }: Installed) {
  const model = findModel(models, name) ?? selectedModel(models);
  return model ? chooseInpaintPatch(engine, model, addOns) : null;
}

/** Upscaling or varying an image at the end. */
function stepsAfter(
  request: CommonRequest,
  enhance: EnhanceInput,
  installed: Installed,
  sent: ReadonlySet<string>,
): PostStep[] {
  const { image, method } = enhance;
  if (method.kind === 'disabled') return [];
  const upscale = planOf(request, enhance);
  const { overwrite_vary_strength: overwriteStrength } = request.advanced_params;
  const diffusion =
    method.kind === 'vary'
      ? orRefuse(() => planVary(image.size, method.strength, overwriteStrength))
      : upscale?.diffusion;
  if (!diffusion) return [upscaleStep(request, enhance, installed)];
  const context = { request, enhance, installed, sent };
  const upscaler = method.kind === 'upscale' ? chooseUpscaler(installed.addOns) : null;
  const started = { ...NO_IMAGES, upscaleOrVary: { image, method } };
  const [{ steps }] = toGenerateJob(request, started, installed, sent).job.passes;
  return [
    {
      ...detailOf(lastPrompts(request, enhance), context),
      finder: { kind: 'everything' },
      regions: EVERY_REGION,
      inpaint: {
        rules: 'a1111',
        fit: 'stretch',
        ...(upscaler !== null && { resizeBy: upscaler }),
        fill: 'original',
        blur: { x: 0, y: 0 },
        round: true,
        area: 'whole',
        overlay: false,
      },
      pass: { ...passOf(context), steps, size: diffusion.final, strength: diffusion.denoisingStrength },
      infotext: [['Enhance', method.kind]],
    },
  ];
}

/** What the steps of a request have in common. */
function detailOf(
  prompts: Prompted,
  { request, installed, sent }: EnhanceContext,
): Pick<DetailStep, 'kind' | 'noise' | 'promptOptions' | 'loras' | 'prompts' | 'seedStep'> {
  const { job } = toGenerateJob({ ...request, ...prompts }, NO_IMAGES, installed, sent);
  const { noise, promptOptions, loras, images } = job;
  const [image] = images;
  return {
    kind: 'detail',
    noise,
    promptOptions,
    ...(loras && { loras }),
    prompts: image ? [promptsOf(image)] : [],
    seedStep: 0,
  };
}

function promptsOf({ prompt, negativePrompt, expansion }: ImageSpec): DetailPrompt {
  return { prompt, negativePrompt, ...(expansion && { expansion }) };
}

function passOf({ request, installed, sent }: EnhanceContext): Pass {
  return toGenerateJob(request, NO_IMAGES, installed, sent).job.passes[0];
}

function planOf(request: CommonRequest, { image, method }: EnhanceInput) {
  if (method.kind !== 'upscale') return null;
  const { overwrite_upscale_strength: overwriteStrength } = request.advanced_params;
  return orRefuse(() => planUpscale(image.size, method.factor, { fast: method.fast, overwriteStrength }));
}

/** Upscaling alone. */
function upscaleStep(request: CommonRequest, enhance: EnhanceInput, { addOns }: Installed): UpscaleStep {
  const size = planOf(request, enhance)?.resized ?? enhance.image.size;
  return {
    kind: 'upscale',
    upscaler: chooseUpscaler(addOns) ?? 'Lanczos',
    size: { ...size, crop: false, stretch: true },
  };
}

/** An enhancement's own prompts where it has some, else those of the request. */
function filledPrompts(
  { enhance_prompt: prompt, enhance_negative_prompt: negative }: Enhancement,
  request: Prompted,
): Prompted {
  return {
    prompt: isFilled(prompt) ? prompt : request.prompt,
    negative_prompt: isFilled(negative) ? negative : request.negative_prompt,
  };
}

/** The prompts of what is done at the end. */
function lastPrompts(request: Prompted, { keepsPrompts, enhancements }: EnhanceInput): Prompted {
  const last = keepsPrompts ? enhancements.at(-1) : undefined;
  return last ? filledPrompts(last, request) : request;
}

function isFilled(text: string): boolean {
  return splitPromptLines(text).length > 0;
}

/** Fooocus grows by so many pixels on each side; a square's side is what the step takes. */
function squareOf(pixels: number): number {
  return pixels === 0 ? 0 : Math.sign(pixels) * (2 * Math.abs(pixels) + 1);
}

function orRefuse<Plan>(plan: () => Plan): Plan {
  try {
    return plan();
  } catch (thrown) {
    throw refusalOf('enhance_input_image', thrown);
  }
}
