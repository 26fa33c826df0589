import { chooseAddOns } from '#api/diffusers-add-ons.ts';
import { diffusersSampler } from '#api/diffusers-scheduler.ts';
import { imagePaths, imageUrl, publishImages } from '#api/files.ts';
import { countingSeeds, PLAIN_PROMPT, randomSeed, TORCH_NOISE } from '#api/job.ts';
import { findModel, selectedModel, usableModels } from '#api/models.ts';
import type { Call } from '#api/route.ts';
import { enhancePrompt } from '#codecs/prompt/enhance.ts';
import { AppError } from '#protocol/error.ts';
import type { JobId, JobRecord, TextToImageJob } from '#protocol/job.ts';
import type { AddOnInfo, ModelInfo } from '#protocol/model.ts';
import * as v from 'valibot';
import { replySchema, type Reply, type Text2imgBody } from './schema.ts';

/** Documented range; the service clamps what is above. */
const MOST_STEPS = 50;

/** Seconds between two looks at a job whose time left is not known yet. */
const UNKNOWN_ETA = 5;

/** The job a request asks for. @throws AppError `model_not_found` */
export function toJob(
  body: Text2imgBody,
  models: readonly ModelInfo[],
  addOns: readonly AddOnInfo[],
): TextToImageJob {
  if (body.height % 8 !== 0) throw new AppError('invalid_request', 'height must be divisible by 8');
  if (body.width % 8 !== 0) throw new AppError('invalid_request', 'width must be divisible by 8');
  const upscale = body.upscale ? 2 : 1;
  const chosen = chooseAddOns(body, addOns);
  return {
    task: 'txt2img',
    model: chooseModel(body.model_id, models).pack.id,
    images: countingSeeds(body.samples, {
      prompt: [body.enhance_prompt ? enhancePrompt(body.prompt) : body.prompt],
      negativePrompt: [body.negative_prompt ?? ''],
      seed: body.seed ?? randomSeed(),
    }),
    batchSize: body.samples,
    width: body.width * upscale,
    height: body.height * upscale,
    steps: Math.min(body.num_inference_steps, MOST_STEPS),
    guidanceScale: body.guidance_scale,
    sampler: diffusersSampler(body.scheduler, {
      useKarrasSigmas: body.use_karras_sigmas,
      algorithmType: body.algorithm_type === 'none' ? null : body.algorithm_type,
    }),
    noise: TORCH_NOISE,
    promptOptions: { ...PLAIN_PROMPT, clipSkip: body.clip_skip, ...chosen.prompt },
    ...chosen.job,
    output: { format: 'png', quality: 1, metadata: null },
    keepUnfinished: false,
  };
}

function chooseModel(id: string | null, models: readonly ModelInfo[]): ModelInfo {
  const model = id === null ? selectedModel(models) : findModel(models, id);
  if (model) return model;
  const installed = usableModels(models).map(({ pack }) => pack.id);
  throw new AppError('model_not_found', `Model not found: ${id ?? 'none is installed'}`, {
    detail: { tip: `Installed models: ${installed.join(', ')}` },
  });
}

/** What is kept with the job: `meta` of the answers above all. */
export function toReply(body: Text2imgBody, job: TextToImageJob): Reply {
  const scheduler = job.sampler.family === 'diffusers' ? job.sampler.scheduler : body.scheduler;
  return {
    webhook: body.webhook,
    track_id: body.track_id,
    base64: body.base64,
    tip:
      scheduler === body.scheduler
        ? null
        : `${body.scheduler} is not made for this; ${scheduler} ran in its place.`,
    meta: {
      prompt: job.images[0]?.prompt[0] ?? '',
      model_id: job.model,
      negative_prompt: body.negative_prompt ?? '',
      scheduler,
      safetychecker: toYesNo(body.safety_checker),
      W: job.width,
      H: job.height,
      guidance_scale: job.guidanceScale,
      steps: job.steps,
      n_samples: body.samples,
      full_url: 'no',
      upscale: toYesNo(body.upscale),
      multi_lingual: toYesNo(body.multi_lingual),
      seed: job.images[0]?.seed ?? 0n,
      outdir: 'out',
      vae: job.vae ?? null,
      lora: job.loras?.map(({ id }) => id).join(',') ?? null,
      lora_strength: job.loras?.map(({ strength }) => strength).join(',') ?? null,
      clip_skip: job.promptOptions.clipSkip,
      use_karras_sigmas: toYesNo(body.use_karras_sigmas),
      algorithm_type: body.algorithm_type,
      tomesd: toYesNo(body.tomesd),
      embeddings: job.promptOptions.embeddings?.join(',') ?? null,
    },
  };
}

/** The notes of a job of this dialect. */
export function readReply(record: JobRecord): Reply {
  return v.parse(replySchema, record.origin.reply);
}

function toYesNo(flag: boolean): 'yes' | 'no' {
  return flag ? 'yes' : 'no';
}

/** The service's ids are integers: the first 31 bits of the job's UUID. */
export function toRequestId(id: JobId): number {
  return Number.parseInt(id.slice(0, 8), 16) >>> 1;
}

/** Where images are served as base64 text; those of other requests are under `/files/`. */
export const BASE64_FOLDER = 'api/v1/enterprise/generations';

type Urls = Pick<Call<unknown, unknown>, 'ask' | 'url'>;

/** Gives the images of an ended job their URLs. */
export async function publishOutput(call: Urls, record: JobRecord, reply: Reply): Promise<string[]> {
  const urls = await publishImages(call, record, record.id);
  return reply.base64 ? urls.map((url) => toBase64Url(call, url)) : urls;
}

/** The URLs that the images of a job under way will have. */
export function futureUrls(call: Pick<Urls, 'url'>, record: JobRecord, reply: Reply): string[] {
  const urls = imagePaths(record, record.id).map((path) => imageUrl(call, path));
  return reply.base64 ? urls.map((url) => toBase64Url(call, url)) : urls;
}

function toBase64Url(call: Pick<Urls, 'url'>, url: string): string {
  const [date = '', name = ''] = new URL(url).pathname.split('/').slice(-2);
  return call.url(`${BASE64_FOLDER}/${date}/${name.replace(/\.png$/, '.base64')}`);
}

/** The answer for a job that is done, with its images' URLs. */
export function wordSuccess(record: JobRecord, reply: Reply, output: readonly string[]) {
  return {
    status: 'success',
    ...(reply.tip !== null && { tip: reply.tip }),
    generationTime: Math.round((record.result?.seconds ?? 0) * 100) / 100,
    id: toRequestId(record.id),
    output,
    proxy_links: output,
    webhook_status: '',
    meta: { ...reply.meta, file_prefix: record.id },
  };
}

/** The first answer for a job that takes longer. */
export function wordProcessing(
  record: JobRecord,
  reply: Reply,
  fetchUrl: string,
  futureLinks: readonly string[],
) {
  return {
    status: 'processing',
    tip: reply.tip ?? 'Your request is being processed. Get the images from fetch_result.',
    eta: estimateSeconds(record),
    messege: 'Try to fetch request after seconds estimated',
    message: 'Try to fetch request after seconds estimated',
    webhook_status: '',
    fetch_result: fetchUrl,
    id: toRequestId(record.id),
    output: [],
    meta: { ...reply.meta, file_prefix: record.id },
    future_links: futureLinks,
  };
}

/** The answer to a fetch that comes too early. */
export function wordStillProcessing(record: JobRecord) {
  return {
    status: 'processing',
    id: toRequestId(record.id),
    messege: 'Request processing',
    message: 'Request processing',
    output: '',
    eta: estimateSeconds(record),
  };
}

/** The answer for a job that failed or was stopped before its first image. */
export function wordFailure(record: JobRecord) {
  const message = record.error?.message ?? 'The request was cancelled.';
  return { status: 'failed', id: toRequestId(record.id), message, messege: message, output: '' };
}

/** What the client's server is told at the end. */
export function wordWebhook(record: JobRecord, reply: Reply, output: readonly string[]) {
  const track = { track_id: reply.track_id };
  if (output.length === 0) {
    const { status, id, message } = wordFailure(record);
    return { status, id, message, ...track };
  }
  const { status, id, generationTime, meta } = wordSuccess(record, reply, output);
  return { status, id, output, generationTime, ...track, meta };
}

function estimateSeconds(record: JobRecord): number {
  return Math.max(1, Math.round(record.progress?.secondsLeft ?? UNKNOWN_ETA));
}
