import { finishedSize, planDiffusersJob, schedulerOf, type DiffusersStart } from '#api/diffusers-job.ts';
import { DIFFUSERS_SCHEDULERS, findDiffusersScheduler } from '#api/diffusers-scheduler.ts';
import { multipleOf8, PLAIN_PROMPT } from '#api/job.ts';
import { findModel, usableModels } from '#api/models.ts';
import { safetyStepOf } from '#api/safety.ts';
import { AppError } from '#protocol/error.ts';
import { isAnyUnsafe, type GenerateJob, type JobResult } from '#protocol/job.ts';
import type { AddOnInfo, ModelInfo } from '#protocol/model.ts';
import type { Settings } from '#protocol/settings.ts';
import type { ImageFields, Txt2imgBody } from './schema.ts';

const DEFAULT_GUIDANCE = 7.5;

/** What is installed here. */
export interface Installed {
  models: readonly ModelInfo[];
  addOns: readonly AddOnInfo[];
  settings: Settings;
}

/** The job a request asks for. @throws AppError `invalid_request`, `model_not_found` */
export function toJob(body: Txt2imgBody, start: DiffusersStart, installed: Installed): GenerateJob {
  const { models, addOns } = installed;
  const scheduler = findDiffusersScheduler(body.scheduler);
  if (!scheduler) {
    throw new AppError(
      'invalid_request',
      `scheduler must be equal to one of the allowed values: ${DIFFUSERS_SCHEDULERS.join(', ')}`,
    );
  }
  const model = findModel(models, body.model_id);
  if (!model) {
    const installed = usableModels(models).map(({ pack }) => pack.id);
    throw new AppError(
      'model_not_found',
      `model '${body.model_id}' not found. Installed: ${installed.join(', ')}`,
    );
  }
  const isOn = (name: Switch) => body[name] === 'yes';
  return planDiffusersJob(
    {
      model,
      prompt: body.prompt,
      negativePrompt: body.negative_prompt,
      enhancePrompt: isOn('enhance_prompt'),
      width: multipleOf8(body.width),
      height: multipleOf8(body.height),
      samples: body.samples,
      seed: readSeed(body.seed),
      steps: body.num_inference_steps,
      guidanceScale: body.guidance_scale ?? body.cfg_scale ?? DEFAULT_GUIDANCE,
      scheduler,
      useKarrasSigmas: isOn('use_karras_sigmas'),
      algorithmType: body.algorithm_type,
      clipSkip: body.clip_skip ?? PLAIN_PROMPT.clipSkip,
      tomesd: isOn('tomesd'),
      extras: {
        upscale: isOn('upscale'),
        panorama: isOn('panorama'),
        selfAttention: isOn('self_attention'),
        highresFix: isOn('highres_fix'),
      },
      addOns: body,
      start,
      safety: hidesUnsafe(body) ? safetyStepOf(body.safety_checker_type, installed) : null,
    },
    addOns,
  );
}

/** `nsfw_filter` is of later clients and nowhere documented: switched on in any way, it counts. */
function hidesUnsafe({ safety_checker: checker, nsfw_filter: filter }: Txt2imgBody): boolean {
  return checker === 'yes' || filter === true || ['yes', 'true', '1'].includes(String(filter));
}

type Switch = {
  [Name in keyof Txt2imgBody]: Txt2imgBody[Name] extends 'yes' | 'no' ? Name : never;
}[keyof Txt2imgBody];

/** Null for a random one. @throws AppError `invalid_request` */
function readSeed(seed: string | null): bigint | null {
  const text = seed?.trim() ?? '';
  if (text === '' || text === 'null' || text === '-1') return null;
  if (!/^\d{1,20}$/.test(text)) throw new AppError('invalid_request', 'seed must be a whole number, or null');
  return BigInt.asUintN(64, BigInt(text));
}

/** The envelope of an image; `meta` repeats the request with the values that were used. */
export function toAnswer(
  body: Txt2imgBody & Partial<ImageFields>,
  job: GenerateJob,
  result: JobResult | null,
  images: readonly string[],
) {
  const [pass] = job.passes;
  return {
    status: true,
    message: 'success',
    result: {
      generation_time: (result?.seconds ?? 0).toFixed(2),
      images,
      nsfw_content_detected: isAnyUnsafe(result),
      meta: {
        ...repeatedFields(body),
        model_id: pass.model,
        prompt: job.images[0]?.prompt[0] ?? '',
        ...finishedSize(job),
        seed: String(job.images[0]?.seed ?? ''),
        guidance_scale: pass.guidanceScale,
        scheduler: schedulerOf(job),
        clip_skip: job.promptOptions.clipSkip,
      },
    },
  };
}

/** Parameters of later clients, which the documentation's `meta` does not have. */
const NOT_REPEATED = ['server_id', 'nsfw_filter', 'cfg_scale'];

function repeatedFields(body: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(body)
      .filter(([name]) => !NOT_REPEATED.includes(name))
      .map(([name, value]): [string, unknown] => [
        name,
        IMAGES.includes(name) ? repeatAddress(value) : value,
      ]),
  );
}

const IMAGES = ['init_image', 'mask_image'];

/** An image that was sent as text is not sent back. */
function repeatAddress(image: unknown): unknown {
  return typeof image === 'string' && /^https?:/i.test(image) ? image : null;
}
