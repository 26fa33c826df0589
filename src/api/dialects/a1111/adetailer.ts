import { faceRestorers, findRestorer, restoreFaces } from '#api/face-restoration.ts';
import { multipleOf8 } from '#api/job.ts';
import { findAddOn } from '#api/models.ts';
import type { InfotextPair } from '#codecs/infotext.ts';
import type {
  ControlSpec,
  DetailPrompt,
  DetailStep,
  GenerateJob,
  Init,
  Pass,
  PostStep,
  RegionRules,
} from '#protocol/job.ts';
import type { ModelInfo } from '#protocol/model.ts';
import { detailerPairs } from './adetailer-infotext.ts';
import { ADETAILER, type Detailer, type DetailerBody, type DetailerUnit } from './adetailer-unit.ts';
import { namedCheckpoint, type Installed } from './checkpoints.ts';
import type { GenerationBody } from './generation-rows.ts';
import { graphOptions, mergingRatio } from './graph-options.ts';
import { initNoise } from './img2img-init.ts';
import type { Options } from './options.ts';
import { readPrompts, type PromptReading } from './prompt.ts';
import { resolveSampler, type ResolvedSampler } from './samplers.ts';
import { samplerChoice } from './sampling.ts';

/** What the page's lists offer for "none of its own". */
const SAME = /^(?:none|use same (?:checkpoint|vae|sampler|scheduler))?$/i;

const MERGES: Readonly<Record<DetailerBody['ad_mask_merge_invert'], RegionRules['merge']>> = {
  None: 'none',
  Merge: 'merge',
  'Merge and Invert': 'invert',
};

/** Between the prompts of regions, and the prompt of one that is left alone. */
const [SEPARATOR, SKIPPED] = [/\s*\[SEP\]\s*/, /^\s*\[SKIP\]\s*$/];

/** What of a request the steps follow from. */
export interface DetailerContext {
  body: GenerationBody;
  options: Options;
  installed: Installed;
  reading: PromptReading;
  resolved: ResolvedSampler;
  /** Of the first pass. */
  model: ModelInfo;
  pass: Pass;
  job: Pick<GenerateJob, 'init' | 'noise' | 'promptOptions' | 'loras' | 'controls'>;
}

/** What ADetailer adds to a job. */
export interface PlannedDetails {
  steps: PostStep[];
  skipPasses: boolean;
  pairs: InfotextPair[];
  /** Names without effect. */
  unknown: string[];
}

/**
 * The steps of ADetailer's units, each of which inpaints what it finds by img2img at the size of the request.
 * Source: ADetailer, scripts/!adetailer.py, `get_i2i_p`.
 * @throws AppError as the original for checkpoints that are not there
 */
export function planDetails({ units, skipsImg2img }: Detailer, context: DetailerContext): PlannedDetails {
  const { init } = context.job;
  const skipPasses = skipsImg2img && init.from !== 'noise';
  // The original switches itself off there.
  if (skipPasses && init.from === 'masked') {
    return { steps: [], skipPasses: false, pairs: [], unknown: [`alwayson_scripts.${ADETAILER}`] };
  }
  const planned = units.map((unit) => planUnit(unit, context));
  return {
    steps: planned.flatMap(({ steps }) => steps),
    skipPasses,
    pairs: detailerPairs(units),
    unknown: planned.flatMap(({ unknown }) => unknown),
  };
}

function planUnit(
  { body: unit, finder, controls }: DetailerUnit,
  context: DetailerContext,
): Pick<PlannedDetails, 'steps' | 'unknown'> {
  const { job, installed, options, body } = context;
  const { pass, model, unknown } = planPass(unit, context);
  const multiplier = unit.ad_use_noise_multiplier
    ? unit.ad_noise_multiplier
    : options.initial_noise_multiplier;
  const generated = {
    pass,
    noise: {
      ...job.noise,
      ...initNoise(1, options).noise,
      ...(multiplier !== (job.noise.initialMultiplier ?? 1) && { initialMultiplier: multiplier }),
    },
    promptOptions: {
      ...job.promptOptions,
      ...(unit.ad_use_clip_skip && { clipSkip: unit.ad_clip_skip }),
    },
    ...(job.loras && { loras: job.loras }),
  };
  const detail: DetailStep = {
    kind: 'detail',
    finder,
    regions: regionsOf(unit, job.init),
    inpaint: inpaintOf(unit, options),
    ...generated,
    ...controlsOf(controls, job),
    ...promptsOf(unit, body, context.reading),
    seedStep: 1,
    infotext: [],
  };
  if (!unit.ad_restore_face) return { steps: [detail], unknown };
  const { addOns } = installed;
  const restorer = findRestorer(addOns, options.face_restoration_model) ?? faceRestorers(addOns)[0];
  // The built-in restorer is what has just been done.
  if (typeof restorer === 'string') {
    return { steps: [detail], unknown: [...unknown, `alwayson_scripts.${ADETAILER}.ad_restore_face`] };
  }
  const { code_former_weight: weight } = options;
  return {
    steps: [
      detail,
      restoreFaces(restorer, { visibility: 1, weight }, () => ({ ...generated, model: model.pack })),
    ],
    unknown,
  };
}

/** A pass of img2img as the unit changes it. */
function planPass(
  unit: DetailerBody,
  { body, options, installed, resolved, model: own, pass }: DetailerContext,
): { pass: Pass; model: ModelInfo; unknown: string[] } {
  const { ad_checkpoint: checkpoint, ad_vae: vaeName } = unit;
  const model =
    unit.ad_use_checkpoint && checkpoint !== null && !SAME.test(checkpoint)
      ? namedCheckpoint(checkpoint, installed.models)
      : own;
  const ownVae = unit.ad_use_vae && vaeName !== null && !SAME.test(vaeName) ? vaeName : null;
  const isAutomatic = ownVae?.toLowerCase() === 'automatic';
  const found = ownVae === null || isAutomatic ? undefined : findAddOn(installed.addOns, 'vae', ownVae);
  const vae = isAutomatic ? undefined : (found?.pack.id ?? pass.vae);
  const chosen = unit.ad_use_sampler
    ? resolveSampler(
        SAME.test(unit.ad_sampler) ? resolved.sampler.name : unit.ad_sampler,
        SAME.test(unit.ad_scheduler) ? resolved.asked.label : unit.ad_scheduler,
      )
    : resolved;
  const merging = mergingRatio(options.token_merging_ratio_img2img, options.token_merging_ratio);
  const size = unit.ad_use_inpaint_width_height
    ? { width: multipleOf8(unit.ad_inpaint_width), height: multipleOf8(unit.ad_inpaint_height) }
    : pass.size;
  return {
    model,
    pass: {
      model: model.pack.id,
      ...(vae !== undefined && { vae }),
      size,
      steps: unit.ad_use_steps ? unit.ad_steps : body.steps,
      strength: unit.ad_denoising_strength,
      ...(options.img2img_fix_steps && { exactSteps: true }),
      sampler: samplerChoice(body, options, chosen),
      guidanceScale: unit.ad_use_cfg_scale ? unit.ad_cfg_scale : body.cfg_scale,
      ...graphOptions(body.tiling, merging, options, model),
    },
    unknown: ownVae !== null && !isAutomatic && !found ? [`alwayson_scripts.${ADETAILER}.ad_vae`] : [],
  };
}

/** With an inpainted whole image, what is found outside the mask is none of the request's business. */
function regionsOf(unit: DetailerBody, init: Init): RegionRules {
  const { ad_mask_k: count, ad_mask_filter_method: by } = unit;
  return {
    minScore: unit.ad_confidence,
    minShare: unit.ad_mask_min_ratio,
    maxShare: unit.ad_mask_max_ratio,
    ...(count > 0 && { most: { count, by: by === 'Area' ? 'area' : 'score' } }),
    offset: { x: unit.ad_x_offset, y: unit.ad_y_offset },
    grow: unit.ad_dilate_erode,
    merge: MERGES[unit.ad_mask_merge_invert],
    ...(init.from === 'masked' &&
      init.area === 'whole' &&
      init.mask.kind === 'image' && { touching: { mask: init.mask.mask, invert: init.mask.invert } }),
  };
}

function inpaintOf(unit: DetailerBody, options: Options): DetailStep['inpaint'] {
  const { inpainting_mask_weight: hide } = options;
  return {
    rules: 'a1111',
    fit: 'stretch',
    fill: 'original',
    blur: { x: unit.ad_mask_blur, y: unit.ad_mask_blur },
    round: true,
    area: unit.ad_inpaint_only_masked ? { padding: unit.ad_inpaint_only_masked_padding } : 'whole',
    overlay: options.overlay_inpaint,
    ...(options.img2img_color_correction && { colorCorrection: true }),
    ...(hide !== 1 && { hide: Math.min(Math.max(hide, 0), 1) }),
  };
}

/** `Passthrough` takes those of the request. */
function controlsOf(
  controls: DetailerUnit['controls'],
  job: Pick<GenerateJob, 'controls'>,
): { controls?: readonly ControlSpec[] } {
  const chosen = controls === 'passthrough' ? job.controls : controls;
  return chosen && chosen.length > 0 ? { controls: chosen } : {};
}

/** The prompts of the regions; the last of each counts for all further ones. */
function promptsOf(
  unit: DetailerBody,
  { styles }: GenerationBody,
  reading: PromptReading,
): { prompts?: readonly DetailPrompt[] } {
  const prompts = unit.ad_prompt.split(SEPARATOR);
  const negativePrompts = unit.ad_negative_prompt.split(SEPARATOR);
  const count = Math.max(prompts.length, negativePrompts.length);
  if (count === 1 && unit.ad_prompt === '' && unit.ad_negative_prompt === '') return {};
  return {
    prompts: Array.from({ length: count }, (_, region): DetailPrompt => {
      const prompt = prompts[Math.min(region, prompts.length - 1)] ?? '';
      const negativePrompt = negativePrompts[Math.min(region, negativePrompts.length - 1)] ?? '';
      return SKIPPED.test(prompt) ? 'skip' : readOwn({ prompt, negativePrompt, styles }, reading);
    }),
  };
}

/** The request's styles are in its own prompts already, which stand for an empty one and in place of `[PROMPT]`. */
function readOwn(
  {
    prompt,
    negativePrompt,
    styles,
  }: { prompt: string; negativePrompt: string; styles: readonly string[] | null },
  reading: PromptReading,
): DetailPrompt {
  const hasOwn = (text: string) => text !== '' && !text.includes('[PROMPT]');
  const styled = readPrompts({ prompt, negativePrompt, styles }, reading);
  const plain = readPrompts({ prompt, negativePrompt, styles: null }, reading);
  return {
    prompt: (hasOwn(prompt) ? styled : plain).prompt,
    negativePrompt: (hasOwn(negativePrompt) ? styled : plain).negativePrompt,
  };
}
