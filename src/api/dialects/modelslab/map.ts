import {
  finishedSize,
  planDiffusersJob,
  schedulerOf,
  type DiffusersExtras,
  type DiffusersStart,
} from '#api/diffusers-job.ts';
import { findAddOn, findModel, selectedModel, usableModels } from '#api/models.ts';
import { safetyStepOf } from '#api/safety.ts';
import { AppError } from '#protocol/error.ts';
import type { ControlSpec, GenerateJob } from '#protocol/job.ts';
import type { AddOnInfo, ModelInfo } from '#protocol/model.ts';
import type { Settings } from '#protocol/settings.ts';
import { packNames, UNKNOWN_MODEL_SETTING, VAE_SETTING } from './names.ts';
import type { Img2imgBody, Reply } from './schema.ts';

/** Documented range; the service clamps what is above. */
const MOST_STEPS = 50;

/** What every endpoint that generates takes. */
export type GenerationBody = Omit<Img2imgBody, 'init_image' | 'strength'>;

/** What differs between the endpoints. */
export interface Variant {
  start: DiffusersStart;
  extras: DiffusersExtras;
  controls?: readonly ControlSpec[];
  /** Their own part of `meta`. */
  meta: Readonly<Record<string, unknown>>;
}

/** What is installed here and how it is set up. */
export interface Installed {
  models: readonly ModelInfo[];
  addOns: readonly AddOnInfo[];
  settings: Settings;
}

/** A model for a request. */
export interface ChosenModel {
  model: ModelInfo;
  /** The id that the request names, where that is not installed. */
  unknown: string | null;
}

/**
 * The model that a request names, or the selected one, which also replaces one that is not installed if the setting says so.
 * @throws AppError `model_not_found`
 */
export function chooseModel(id: string | null, { models, settings }: Installed): ChosenModel {
  const named = id === null ? undefined : findModel(models, packNames(settings, id));
  if (named) return { model: named, unknown: null };
  const selected = selectedModel(models);
  if (selected && (id === null || settings[UNKNOWN_MODEL_SETTING] === true))
    return { model: selected, unknown: id };
  const installed = usableModels(models).map(({ pack }) => pack.id);
  throw new AppError('model_not_found', `Model not found: ${id ?? 'none is installed'}`, {
    detail: { tip: `Installed models: ${installed.join(', ')}` },
  });
}

/** @throws AppError `invalid_request` */
export function checkSize({ width, height }: GenerationBody): void {
  if (height % 8 !== 0) throw new AppError('invalid_request', 'height must be divisible by 8');
  if (width % 8 !== 0) throw new AppError('invalid_request', 'width must be divisible by 8');
}

/** The job a request asks for. @throws AppError `invalid_request`, `model_not_found` */
export function toJob(
  body: GenerationBody,
  model: ModelInfo,
  { addOns, settings }: Installed,
  { start, extras, controls }: Variant,
): GenerateJob {
  return planDiffusersJob(
    {
      model,
      prompt: body.prompt,
      negativePrompt: body.negative_prompt ?? '',
      enhancePrompt: body.enhance_prompt,
      width: body.width,
      height: body.height,
      samples: body.samples,
      seed: body.seed,
      steps: Math.min(body.num_inference_steps, MOST_STEPS),
      guidanceScale: body.guidance_scale,
      scheduler: body.scheduler,
      useKarrasSigmas: body.use_karras_sigmas,
      algorithmType: body.algorithm_type === 'none' ? null : body.algorithm_type,
      clipSkip: body.clip_skip,
      tomesd: body.tomesd,
      extras,
      start,
      addOns: {
        lora_model: packNames(settings, body.lora_model),
        lora_strength: body.lora_strength,
        embeddings_model: packNames(settings, body.embeddings_model),
        vae: packNames(settings, body.vae) ?? defaultVae(model, addOns, settings),
      },
      ...(controls && { controls }),
      safety: body.safety_checker ? safetyStepOf(body.safety_checker_type, { addOns, settings }) : null,
    },
    addOns,
  );
}

/** The VAE that `load_vae` made the default, where it is still there and fits. */
function defaultVae(model: ModelInfo, addOns: readonly AddOnInfo[], settings: Settings): string | null {
  const { [VAE_SETTING]: name } = settings;
  const vae = typeof name === 'string' ? findAddOn(addOns, 'vae', name) : undefined;
  const { family } = vae?.pack ?? { family: null };
  return vae && (family === null || family === model.pack.family) ? vae.pack.id : null;
}

/** What is kept with the job: `meta` of the answers above all. */
export function toReply(
  body: GenerationBody,
  job: GenerateJob,
  unknownModel: string | null,
  { extras, meta }: Variant,
): Reply {
  const scheduler = schedulerOf(job);
  const { width, height } = finishedSize(job);
  const [pass] = job.passes;
  const tips = [
    ...(unknownModel === null ? [] : [`${unknownModel} is not installed; ${pass.model} ran in its place.`]),
    ...(scheduler === body.scheduler
      ? []
      : [`${body.scheduler} is not made for this; ${scheduler} ran in its place.`]),
  ];
  return {
    webhook: body.webhook,
    track_id: body.track_id,
    base64: body.base64,
    temp: body.temp,
    tip: tips.length > 0 ? tips.join(' ') : null,
    meta: {
      prompt: job.images[0]?.prompt[0] ?? '',
      model_id: pass.model,
      negative_prompt: body.negative_prompt ?? '',
      scheduler,
      safetychecker: toYesNo(body.safety_checker),
      W: width,
      H: height,
      guidance_scale: pass.guidanceScale,
      steps: pass.steps,
      n_samples: body.samples,
      full_url: 'no',
      upscale: toYesNo(extras.upscale ?? false),
      multi_lingual: toYesNo(body.multi_lingual),
      seed: job.images[0]?.seed ?? 0n,
      outdir: 'out',
      vae: pass.vae ?? null,
      lora: job.loras?.map(({ id }) => id).join(',') ?? null,
      lora_strength: job.loras?.map(({ strength }) => strength).join(',') ?? null,
      clip_skip: job.promptOptions.clipSkip,
      use_karras_sigmas: toYesNo(body.use_karras_sigmas),
      algorithm_type: body.algorithm_type,
      tomesd: toYesNo(body.tomesd),
      embeddings: job.promptOptions.embeddings?.join(',') ?? null,
      ...meta,
    },
  };
}

export function toYesNo(flag: boolean): 'yes' | 'no' {
  return flag ? 'yes' : 'no';
}
