import { httpStatus } from '#api/errors.ts';
import { fastApi2 } from '#api/fastapi.ts';
import { fileName, installedAddOns, usableModels } from '#api/models.ts';
import { missingCapability, screenParameters, type ParameterTable } from '#api/parameters.ts';
import { bytesResponse, jsonResponse } from '#api/response.ts';
import { defineDialect, route, type Call, type Route } from '#api/route.ts';
import { PROMPT_EXPANSION, RANDOM_STYLE } from '#codecs/prompt/fooocus-prompt.ts';
import { AppError, type ErrorCode } from '#protocol/error.ts';
import type { JobId, JobRecord } from '#protocol/job.ts';
import * as v from 'valibot';
import {
  isEnded,
  JOB_NOT_FOUND,
  QUEUE_IS_FULL,
  refuseAsyncJob,
  toAsyncJob,
  toHistoryItem,
  toImageResults,
  toPng,
} from './jobs.ts';
import * as images from './image-schema.ts';
import { toJob, toReply } from './map.ts';
import {
  advancedParameters,
  commonParameters,
  imagePromptParameters,
  inpaintParameters,
  upscaleOrVaryParameters,
} from './parameters.ts';
import * as schema from './schema.ts';
import { styles } from './styles/index.ts';

type GenerationCall = Call<schema.CommonRequest, { accept: string }>;

/** What goes wrong before a job or by the client's doing; other failures are told as a job's result. */
const TOLD_AS_ERRORS: ReadonlySet<ErrorCode> = new Set([
  'invalid_request',
  'no_engine_tab',
  'protocol_mismatch',
  'model_not_found',
  'unsupported_feature',
  'cancelled',
]);

/** The image itself is the answer, in place of JSON about it. */
function wantsPng(request: Request): boolean {
  const accept = new URL(request.url).searchParams.get('accept') || request.headers.get('Accept');
  return accept === 'image/png';
}

/** The image of a generation, or its fate, in the form the client asked for. */
async function generate(call: GenerationCall, jobType: string): Promise<unknown> {
  const png = wantsPng(call.request);
  const request = png ? { ...call.body, image_number: 1 } : call.body;
  const [models, addOns] = await call.ask((host) => Promise.all([host.models(), host.addOns()]));
  const { job, withoutEffect } = toJob(request, models, addOns, screen(call));
  call.ignore(...withoutEffect);
  const reply = toReply(request, jobType);
  try {
    if (request.async_process) {
      const id = await call.submit(job, reply);
      const record = await call.ask((host) => host.job(id));
      return record ? await toAsyncJob(call, record, false) : JOB_NOT_FOUND;
    }
    const record = await call.run(job, reply);
    return png ? await answerPng(record) : await toImageResults(call, record);
  } catch (error) {
    if (!(error instanceof AppError) || TOLD_AS_ERRORS.has(error.code)) throw error;
    const full = error.code === 'queue_full';
    if (png) return full ? textResponse('QUEUE_IS_FULL', 409) : textResponse('ERROR', 500);
    if (request.async_process) {
      if (full) return refuseAsyncJob(jobType);
      throw error;
    }
    return full ? [QUEUE_IS_FULL] : [];
  }
}

/** The names the client sent; `advanced_params` are screened here, as its other parameters are for every route. */
function screen(call: GenerationCall): Set<string> {
  const sent = asObject(call.received);
  const advanced = asObject(sent['advanced_params']);
  const defaults = v.getDefaults(schema.advancedParams);
  const withoutEffect = screenParameters(advancedParameters, advanced, defaults);
  call.ignore(...withoutEffect.map((name) => `advanced_params.${name}`));
  return new Set(Object.keys(sent));
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

async function answerPng(record: JobRecord): Promise<Response> {
  const image = record.result?.images[0];
  if (image) return bytesResponse(await toPng(image.blob), 'image/png');
  return record.stage === 'cancelled' ? textResponse('USER_CANCEL', 400) : textResponse('', 500);
}

function textResponse(text: string, status: number): Response {
  return bytesResponse(new TextEncoder().encode(text), 'text/plain; charset=utf-8', status);
}

interface Generation<Body extends v.GenericSchema<unknown, schema.CommonRequest>> {
  path: string;
  jobType: string;
  summary: string;
  body: Body;
  encoding?: 'form';
  parameters?: ParameterTable;
}

function generation<Body extends v.GenericSchema<unknown, schema.CommonRequest>>(
  definition: Generation<Body>,
): Route {
  const { jobType, parameters, ...rest } = definition;
  return route<Body, typeof schema.generationQuery>({
    ...rest,
    method: 'POST',
    query: schema.generationQuery,
    answer: schema.generationAnswer,
    parameters: { ...commonParameters, ...parameters },
    late: (request) => !wantsPng(request),
    run: (call) => generate(call, jobType),
  });
}

const generations = [
  generation({
    path: '/v1/generation/text-to-image',
    jobType: 'Text to Image',
    summary: 'Images from a prompt',
    body: schema.textToImage,
  }),
  generation({
    path: '/v2/generation/text-to-image-with-ip',
    jobType: 'Text to Image',
    summary: 'Images from a prompt and images',
    body: images.textToImageWithImagePrompts,
    parameters: imagePromptParameters,
  }),
  generation({
    path: '/v1/generation/image-upscale-vary',
    jobType: 'Image Upscale or Variation',
    summary: 'An image upscaled or varied (form)',
    body: images.upscaleOrVaryForm,
    encoding: 'form',
    parameters: upscaleOrVaryParameters,
  }),
  generation({
    path: '/v2/generation/image-upscale-vary',
    jobType: 'Image Upscale or Variation',
    summary: 'An image upscaled or varied',
    body: images.upscaleOrVary,
    parameters: upscaleOrVaryParameters,
  }),
  generation({
    path: '/v1/generation/image-inpaint-outpaint',
    jobType: 'Image Inpaint or Outpaint',
    summary: 'Part of an image drawn again, or what is around it (form)',
    body: images.inpaintOrOutpaintForm,
    encoding: 'form',
    parameters: inpaintParameters,
  }),
  generation({
    path: '/v2/generation/image-inpaint-outpaint',
    jobType: 'Image Inpaint or Outpaint',
    summary: 'Part of an image drawn again, or what is around it',
    body: images.inpaintOrOutpaint,
    parameters: inpaintParameters,
  }),
  generation({
    path: '/v1/generation/image-prompt',
    jobType: 'Image Prompt',
    summary: 'Images in the likeness of images (form)',
    body: images.imagePromptForm,
    encoding: 'form',
    parameters: inpaintParameters,
  }),
  generation({
    path: '/v2/generation/image-prompt',
    jobType: 'Image Prompt',
    summary: 'Images in the likeness of images',
    body: images.imagePromptRequest,
    parameters: inpaintParameters,
  }),
];

/** Valid requests for what is not built yet: checked in full, then refused by name. */
const unavailable = [
  route({
    method: 'POST',
    path: '/v1/generation/image-enhance',
    summary: 'Not available yet: things found in an image and drawn again (form)',
    body: images.enhanceImageForm,
    encoding: 'form',
    query: schema.generationQuery,
    run: () => refuse('image-enhance', 'finding things in an image'),
  }),
  route({
    method: 'POST',
    path: '/v2/generation/image-enhance',
    summary: 'Not available yet: things found in an image and drawn again',
    body: images.enhanceImage,
    query: schema.generationQuery,
    run: () => refuse('image-enhance', 'finding things in an image'),
  }),
  route({
    method: 'POST',
    path: '/v1/tools/describe-image',
    summary: 'Not available yet: an image in words (form)',
    body: images.describeImageForm,
    encoding: 'form',
    query: images.describeImageQuery,
    run: () => refuse('describe-image', 'describing an image'),
  }),
  route({
    method: 'POST',
    path: '/v1/tools/generate_mask',
    summary: 'Not available yet: the mask of a thing in an image',
    body: images.generateMask,
    run: () => refuse('generate_mask', 'finding things in an image'),
  }),
];

function refuse(what: string, needs: string): Promise<never> {
  return Promise.reject(missingCapability(`'${what}' needs ${needs}`));
}

type Asking = Pick<Call<unknown, unknown>, 'ask'>;

/** This dialect's jobs, oldest first. */
async function ownJobs(call: Asking): Promise<JobRecord[]> {
  const records = await call.ask((host) => host.jobs());
  return records.filter((record) => record.origin.client === fooocus.name);
}

async function findJob(call: Asking, id: JobId): Promise<JobRecord | undefined> {
  const record = await call.ask((host) => host.job(id));
  return record?.origin.client === fooocus.name ? record : undefined;
}

const queryJob = route({
  method: 'GET',
  path: '/v1/generation/query-job',
  summary: 'How far a job is, and its images',
  query: schema.queryJob,
  answer: schema.asyncJob,
  run: async (call) => {
    const record = await findJob(call, call.query.job_id);
    return record
      ? toAsyncJob(call, record, call.query.require_step_preview)
      : jsonResponse(JOB_NOT_FOUND, 404);
  },
});

const jobQueue = ['/v1/generation/job-queue', '/v1/engines/job-queue'].map((path) =>
  route({
    method: 'GET',
    path,
    summary: 'How many jobs there are',
    run: async (call) => {
      const [ids, unfinished] = await call.ask((host) =>
        Promise.all([host.jobIds(fooocus.name), host.unfinishedJobs()]),
      );
      const running = unfinished.filter(({ origin }) => origin.client === fooocus.name).length;
      return {
        running_size: running,
        finished_size: ids.length - running,
        last_job_id: ids.at(-1) ?? null,
      };
    },
  }),
);

const jobHistory = route({
  method: 'GET',
  path: '/v1/generation/job-history',
  summary: 'Jobs waiting and done; deletes one',
  query: schema.jobHistory,
  run: async (call) => {
    const { job_id: id } = call.query;
    if (call.query.delete && id !== '') {
      const known = await findJob(call, id);
      const removed = known !== undefined && (await call.ask((host) => host.removeJob(id)));
      return { message: removed ? 'Deleted' : 'Not found' };
    }
    const records = (await ownJobs(call)).filter((record) => id === '' || record.id === id);
    return {
      queue: records.filter((record) => !isEnded(record)).map(toHistoryItem),
      history: records.filter(isEnded).map(toHistoryItem),
    };
  },
});

const stop = route({
  method: 'POST',
  path: '/v1/generation/stop',
  summary: 'Stops the running job; it keeps the images it has',
  run: async (call) => {
    await call.ask(async (host) => {
      const running = (await host.unfinishedJobs()).find(
        ({ origin, stage }) => origin.client === fooocus.name && stage === 'running',
      );
      if (running) await host.cancel(running.id);
    });
    return { msg: 'success' };
  },
});

const allModels = (
  [
    ['GET', '/v1/engines/all-models'],
    // Gone from the original; older clients still call it.
    ['POST', '/v1/engines/refresh-models'],
  ] as const
).map(([method, path]) =>
  route({
    method,
    path,
    summary: 'The installed models and LoRAs',
    run: async (call) => {
      const [models, addOns] = await call.ask((host) => Promise.all([host.models(), host.addOns()]));
      return {
        model_filenames: usableModels(models).map(fileName),
        lora_filenames: installedAddOns(addOns, 'lora').map(fileName),
      };
    },
  }),
);

const constants = [
  route({
    method: 'GET',
    path: '/ping',
    summary: 'Whether the service is there',
    run: () => Promise.resolve('pong'),
  }),
  route({
    method: 'GET',
    path: '/v1/engines/styles',
    summary: 'The names of the styles',
    run: () => Promise.resolve([PROMPT_EXPANSION, RANDOM_STYLE, ...styles.keys()]),
  }),
  route({
    method: 'GET',
    path: '/v1/engines/clean_vram',
    summary: 'Accepted without effect: memory is cleaned as needed',
    run: () => Promise.resolve({ message: 'ok' }),
  }),
];

export const fooocus = defineDialect({
  ...fastApi2,
  name: 'fooocus',
  title: 'Fooocus-API',
  prefix: '/fooocus',
  roots: ['/ping', '/v1/generation/', '/v2/generation/', '/v1/tools/', '/v1/engines/'],
  routes: [
    ...generations,
    ...unavailable,
    queryJob,
    ...jobQueue,
    jobHistory,
    stop,
    ...allModels,
    ...constants,
  ],
  renderError: (error) => ({ status: httpStatus(error), body: { detail: error.message } }),
});
