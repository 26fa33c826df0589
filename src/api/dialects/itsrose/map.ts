import { chooseAddOns } from '#api/diffusers-add-ons.ts';
import { diffusersSampler, DIFFUSERS_SCHEDULERS, findDiffusersScheduler } from '#api/diffusers-scheduler.ts';
import { countingSeeds, multipleOf8, PLAIN_PROMPT, randomSeed, TORCH_NOISE } from '#api/job.ts';
import { findModel, usableModels } from '#api/models.ts';
import { enhancePrompt } from '#codecs/prompt/enhance.ts';
import { AppError } from '#protocol/error.ts';
import type { JobResult, TextToImageJob } from '#protocol/job.ts';
import type { AddOnInfo, ModelInfo } from '#protocol/model.ts';
import type { Txt2imgBody } from './schema.ts';

const DEFAULT_GUIDANCE = 7.5;

/** The job a request asks for. @throws AppError `invalid_request`, `model_not_found` */
export function toJob(
  body: Txt2imgBody,
  models: readonly ModelInfo[],
  addOns: readonly AddOnInfo[],
): TextToImageJob {
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
  const chosen = chooseAddOns(body, addOns);
  const upscale = body.upscale === 'yes' ? 2 : 1;
  return {
    task: 'txt2img',
    model: model.pack.id,
    images: countingSeeds(body.samples, {
      prompt: [body.enhance_prompt === 'yes' ? enhancePrompt(body.prompt) : body.prompt],
      negativePrompt: [body.negative_prompt],
      seed: readSeed(body.seed),
    }),
    batchSize: body.samples,
    width: multipleOf8(body.width) * upscale,
    height: multipleOf8(body.height) * upscale,
    steps: body.num_inference_steps,
    guidanceScale: body.guidance_scale ?? body.cfg_scale ?? DEFAULT_GUIDANCE,
    sampler: diffusersSampler(scheduler, {
      useKarrasSigmas: body.use_karras_sigmas === 'yes',
      algorithmType: body.algorithm_type,
    }),
    noise: TORCH_NOISE,
    promptOptions: {
      ...PLAIN_PROMPT,
      clipSkip: body.clip_skip ?? PLAIN_PROMPT.clipSkip,
      ...chosen.prompt,
    },
    ...chosen.job,
    output: { format: 'png', quality: 1, metadata: null },
    keepUnfinished: false,
  };
}

function readSeed(seed: string | null): bigint {
  const text = seed?.trim() ?? '';
  if (text === '' || text === 'null' || text === '-1') return randomSeed();
  if (!/^\d{1,20}$/.test(text)) throw new AppError('invalid_request', 'seed must be a whole number, or null');
  return BigInt.asUintN(64, BigInt(text));
}

/** The envelope of an image; `meta` repeats the request with the values that were used. */
export function toAnswer(
  body: Txt2imgBody,
  job: TextToImageJob,
  result: JobResult,
  images: readonly string[],
) {
  return {
    status: true,
    message: 'success',
    result: {
      generation_time: result.seconds.toFixed(2),
      images,
      nsfw_content_detected: false,
      meta: {
        ...repeatedFields(body),
        model_id: job.model,
        prompt: job.images[0]?.prompt[0] ?? '',
        width: job.width,
        height: job.height,
        seed: String(job.images[0]?.seed ?? ''),
        guidance_scale: job.guidanceScale,
        scheduler: job.sampler.family === 'diffusers' ? job.sampler.scheduler : body.scheduler,
        clip_skip: job.promptOptions.clipSkip,
      },
    },
  };
}

/** Parameters of later clients, which the documentation's `meta` does not have. */
const NOT_REPEATED = ['server_id', 'nsfw_filter', 'cfg_scale'];

function repeatedFields(body: Txt2imgBody): Record<string, unknown> {
  return Object.fromEntries(Object.entries(body).filter(([name]) => !NOT_REPEATED.includes(name)));
}
