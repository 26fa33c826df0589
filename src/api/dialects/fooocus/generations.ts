import type { Parameters } from '#api/parameters.ts';
import { bytesResponse } from '#api/response.ts';
import { route, type Call, type Route } from '#api/route.ts';
import { finishedImages } from '#api/run-job.ts';
import { safetyStep } from '#api/safety.ts';
import { isRecord } from '#codecs/json.ts';
import { AppError, type ErrorCode } from '#protocol/error.ts';
import type { JobRecord } from '#protocol/job.ts';
import { withSafety } from '#protocol/safety.ts';
import { toEnhanceJob } from './enhance-job.ts';
import * as bodies from './image-bodies.ts';
import { JOB_NOT_FOUND, QUEUE_IS_FULL, refuseAsyncJob, toAsyncJob, toImageResults, toPng } from './jobs.ts';
import { readInputImages } from './input-images.ts';
import { toJob, toReply } from './map.ts';
import * as schema from './schema.ts';
import * as sent from './sent-images.ts';
import * as tools from './tool-bodies.ts';

type GenerationCall = Call<schema.CommonRequest, { accept: string }>;

/** What goes wrong before a job or by the client's doing; other failures are a job's result. */
const ANSWERED_AS_ERRORS: ReadonlySet<ErrorCode> = new Set([
  'invalid_request',
  'no_engine_tab',
  'protocol_mismatch',
  'model_not_found',
  'unsupported_feature',
  'cancelled',
]);

/** The answer is the image itself instead of JSON. */
function wantsPng(request: Request): boolean {
  const accept = new URL(request.url).searchParams.get('accept') || request.headers.get('Accept');
  return accept === 'image/png';
}

/** The images of a generation, or what became of it, in the form the client requested. */
async function generate(call: GenerationCall, images: sent.SentImages, jobType: string): Promise<unknown> {
  const png = wantsPng(call.request);
  const request = png ? { ...call.body, image_number: 1 } : call.body;
  const [models, addOns, settings] = await call.ask((host) =>
    Promise.all([host.models(), host.addOns(), host.settings()]),
  );
  const inputs = await readInputImages(call, images, request.advanced_params);
  const { enhance } = inputs;
  const installed = { models, addOns };
  const { job: unchecked, withoutEffect } = enhance
    ? toEnhanceJob(request, enhance, installed, sentNames(call))
    : toJob(request, inputs, installed, sentNames(call));
  const blacksOut = request.advanced_params.black_out_nsfw;
  const job = withSafety(unchecked, blacksOut ? safetyStep('black', { addOns, settings }) : null);
  call.ignore(...withoutEffect);
  call.lack(...withoutEffect.filter((name) => name === 'base_model_name'));
  const reply = toReply(request, jobType);
  try {
    if (request.async_process) {
      const id = await call.submit(job, reply);
      const record = await call.ask((host) => host.job(id));
      return record ? await toAsyncJob(call, record, false) : JOB_NOT_FOUND;
    }
    const record = await call.run(job, reply);
    return png ? await answerPng(call, record) : await toImageResults(call, record);
  } catch (error) {
    if (!(error instanceof AppError) || ANSWERED_AS_ERRORS.has(error.code)) throw error;
    const full = error.code === 'queue_full';
    if (png) return full ? textResponse('QUEUE_IS_FULL', 409) : textResponse('ERROR', 500);
    if (request.async_process) {
      if (full) return refuseAsyncJob(jobType);
      throw error;
    }
    return full ? [QUEUE_IS_FULL] : [];
  }
}

/** The names the client sent. */
function sentNames({ received }: GenerationCall): Set<string> {
  return new Set(isRecord(received) ? Object.keys(received) : []);
}

async function answerPng(call: Pick<GenerationCall, 'ask'>, record: JobRecord): Promise<Response> {
  const [image] = await finishedImages(call.ask, record);
  if (image) return bytesResponse(await toPng(image.blob), 'image/png');
  return record.stage === 'cancelled' ? textResponse('USER_CANCEL', 400) : textResponse('', 500);
}

function textResponse(text: string, status: number): Response {
  return bytesResponse(new TextEncoder().encode(text), 'text/plain; charset=utf-8', status);
}

interface Generation<Body extends schema.CommonRequest> {
  path: string;
  jobType: string;
  summary: string;
  body: Parameters<Body>;
  encoding?: 'form';
  /** The images of a body. */
  images: (body: Body) => sent.SentImages;
}

function generation<Body extends schema.CommonRequest>(definition: Generation<Body>): Route {
  const { jobType, images, ...rest } = definition;
  return route({
    ...rest,
    method: 'POST',
    query: schema.generationQuery,
    answer: schema.generationAnswer,
    late: (request) => !wantsPng(request),
    run: (call) => generate(call, images(call.body), jobType),
  });
}

/** The routes that generate. */
export const generations: readonly Route[] = [
  generation({
    path: '/v1/generation/text-to-image',
    jobType: 'Text to Image',
    summary: 'Images from a prompt',
    body: schema.textToImage,
    images: sent.noImages,
  }),
  generation({
    path: '/v2/generation/text-to-image-with-ip',
    jobType: 'Text to Image',
    summary: 'Images from a prompt and images',
    body: bodies.textToImageWithImagePrompts,
    images: sent.withImagePrompts,
  }),
  generation({
    path: '/v1/generation/image-upscale-vary',
    jobType: 'Image Upscale or Variation',
    summary: 'An image upscaled or varied (form)',
    body: bodies.upscaleOrVaryForm,
    images: sent.ofUpscaleOrVary,
    encoding: 'form',
  }),
  generation({
    path: '/v2/generation/image-upscale-vary',
    jobType: 'Image Upscale or Variation',
    summary: 'An image upscaled or varied',
    body: bodies.upscaleOrVary,
    images: sent.ofUpscaleOrVary,
  }),
  generation({
    path: '/v1/generation/image-inpaint-outpaint',
    jobType: 'Image Inpaint or Outpaint',
    summary: 'Inpainting and outpainting (form)',
    body: bodies.inpaintOrOutpaintForm,
    images: sent.ofInpaint,
    encoding: 'form',
  }),
  generation({
    path: '/v2/generation/image-inpaint-outpaint',
    jobType: 'Image Inpaint or Outpaint',
    summary: 'Inpainting and outpainting',
    body: bodies.inpaintOrOutpaint,
    images: sent.ofInpaint,
  }),
  generation({
    path: '/v1/generation/image-prompt',
    jobType: 'Image Prompt',
    summary: 'Images from image prompts (form)',
    body: bodies.imagePromptForm,
    images: sent.ofImagePromptForm,
    encoding: 'form',
  }),
  generation({
    path: '/v2/generation/image-prompt',
    jobType: 'Image Prompt',
    summary: 'Images from image prompts',
    body: bodies.imagePromptRequest,
    images: sent.ofImagePrompts,
  }),
  generation({
    path: '/v1/generation/image-enhance',
    jobType: 'Image Enhancement',
    summary: 'Regions found in an image, generated again (form)',
    body: tools.enhanceImageForm,
    images: sent.ofEnhanceForm,
    encoding: 'form',
  }),
  generation({
    path: '/v2/generation/image-enhance',
    jobType: 'Image Enhancement',
    summary: 'Regions found in an image, generated again',
    body: tools.enhanceImage,
    images: sent.ofEnhance,
  }),
];
