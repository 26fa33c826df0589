import { DIFFUSERS_SCHEDULERS } from '#api/diffusers-scheduler.ts';
import { httpStatus, type Invalid } from '#api/errors.ts';
import { findModel, usableModels } from '#api/models.ts';
import { missingCapability, type ParameterTable } from '#api/parameters.ts';
import { bytesResponse } from '#api/response.ts';
import { defineDialect, route, type Call, type Rendered, type Route } from '#api/route.ts';
import { blobToBase64 } from '#codecs/base64.ts';
import { AppError } from '#protocol/error.ts';
import type { JobId, JobRecord } from '#protocol/job.ts';
import type { ModelInfo } from '#protocol/model.ts';
import * as v from 'valibot';
import {
  BASE64_FOLDER,
  futureUrls,
  publishOutput,
  readReply,
  toJob,
  toReply,
  toRequestId,
  wordFailure,
  wordProcessing,
  wordStillProcessing,
  wordSuccess,
} from './map.ts';
import * as schema from './schema.ts';

const BASE = '/api/v1/enterprise';

/** Where the service and its SDK send generations and what belongs to them. */
const GENERATION_BASES = [BASE, `${BASE}/images`, '/api/v6/images', '/api/v6/realtime'];

/** Setting: the only key accepted; empty accepts every key. */
const KEY_SETTING = 'modelslab.key';

/** Setting: seconds a generation may take before the answer is `processing`; 0 answers so at once. */
const WAIT_SETTING = 'modelslab.wait_seconds';
const DEFAULT_WAIT_SECONDS = 25;

/** Browsers give an answer five minutes to begin. */
const MOST_WAIT_SECONDS = 240;

type KeyedSchema = v.GenericSchema<unknown, { key: string | null }>;

interface Endpoint<Body extends KeyedSchema> {
  summary: string;
  body: Body;
  parameters?: ParameterTable;
  answer?: v.GenericSchema;
  run: (call: Call<v.InferOutput<Body>, undefined>) => Promise<unknown>;
}

/** The routes of one endpoint under several paths. All are POST, and all want a key. */
function endpoints<Body extends KeyedSchema>(paths: readonly string[], endpoint: Endpoint<Body>): Route[] {
  const { run, ...rest } = endpoint;
  return paths.map((path) =>
    route<Body>({
      ...rest,
      method: 'POST',
      path,
      bodyOptional: true,
      run: async (call) => {
        await checkKey(call);
        return run(call);
      },
    }),
  );
}

/** @throws AppError `unauthorized` */
async function checkKey(call: Call<{ key: string | null }, undefined>): Promise<void> {
  const bearer = /^Bearer\s+(.+)$/i.exec(call.request.headers.get('Authorization') ?? '')?.[1];
  const key = call.body.key || bearer;
  const settings = await call.ask((host) => host.settings());
  const wanted = settings[KEY_SETTING];
  if (!key || (typeof wanted === 'string' && wanted !== '' && key !== wanted)) {
    throw new AppError('unauthorized', 'Invalid API key');
  }
}

function inGenerationBases(name: string): string[] {
  return GENERATION_BASES.map((base) => `${base}/${name}`);
}

const text2img = endpoints(inGenerationBases('text2img'), {
  summary: 'Images from a prompt',
  body: schema.text2img,
  parameters: schema.text2imgParameters,
  answer: schema.generationAnswer,
  run: async (call) => {
    const [models, addOns, settings] = await call.ask((host) =>
      Promise.all([host.models(), host.addOns(), host.settings()]),
    );
    const job = toJob(call.body, models, addOns);
    const reply = toReply(call.body, job);
    const id = await call.submit(job, reply);
    const seconds = settings[WAIT_SETTING];
    const patience = Math.min(
      typeof seconds === 'number' ? seconds : DEFAULT_WAIT_SECONDS,
      MOST_WAIT_SECONDS,
    );
    const ended = await waitFor(call, id, patience);
    if (ended?.error && ended.stage === 'failed') throw AppError.fromData(ended.error);
    if (ended) return wordEnded(call, ended);
    const record = await call.ask((host) => host.job(id));
    if (!record) throw new AppError('not_found', 'Request not found');
    const fetchUrl = call.url(`${BASE.slice(1)}/fetch/${toRequestId(id)}`);
    return wordProcessing(record, reply, fetchUrl, futureUrls(call, record, reply));
  },
});

/** The job's record once it has ended, or null when it takes longer. */
async function waitFor(
  call: Pick<Call<unknown, unknown>, 'ask'>,
  id: JobId,
  seconds: number,
): Promise<JobRecord | null> {
  if (seconds <= 0) return null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeUp = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), seconds * 1000);
  });
  try {
    return await Promise.race([call.ask((host) => host.wait(id)), timeUp]);
  } finally {
    clearTimeout(timer);
  }
}

async function wordEnded(call: Pick<Call<unknown, unknown>, 'ask' | 'url'>, record: JobRecord) {
  const reply = readReply(record);
  const output = await publishOutput(call, record, reply);
  return output.length > 0 ? wordSuccess(record, reply, output) : wordFailure(record);
}

/** The answer for a job asked for by its integer id. @throws AppError `not_found` */
async function answerFetch(call: Pick<Call<unknown, unknown>, 'ask' | 'url'>, requestId: string) {
  const ids = await call.ask((host) => host.jobIds(modelslab.name));
  const id = ids.find((own) => String(toRequestId(own)) === requestId || own === requestId);
  const record = id === undefined ? undefined : await call.ask((host) => host.job(id));
  if (!record) throw new AppError('not_found', 'Request not found');
  const underWay = record.stage === 'queued' || record.stage === 'running';
  return underWay ? wordStillProcessing(record) : wordEnded(call, record);
}

const fetching = [
  ...endpoints([`${BASE}/fetch`], {
    summary: 'The images of a request that took longer',
    body: schema.fetchBody,
    run: (call) => answerFetch(call, call.body.request_id),
  }),
  ...endpoints(inGenerationBases('fetch/:id'), {
    summary: 'The images of a request that took longer, by its id',
    body: schema.keyBody,
    run: (call) => answerFetch(call, call.params['id'] ?? ''),
  }),
];

/** Images as base64 text, for requests with `base64: "yes"`. */
const base64Output = route({
  method: 'GET',
  path: `/${BASE64_FOLDER}/:date/:name`,
  summary: 'An image as base64 text',
  run: async (call) => {
    const { date = '', name = '' } = call.params;
    const blob = await call.ask((host) => host.file(`${date}/${name.replace(/\.base64$/, '.png')}`));
    if (!blob || !name.endsWith('.base64'))
      throw new AppError('not_found', `There is no file ${date}/${name}.`);
    return bytesResponse(new TextEncoder().encode(await blobToBase64(blob)), 'text/plain');
  },
});

/** Valid requests for what is not built yet: checked in full, then refused by name. */
const unavailable = [
  refusal(inGenerationBases('img2img'), schema.img2img, 'drawing over an image'),
  refusal(inGenerationBases('inpaint'), schema.inpaint, 'inpainting'),
  refusal(inGenerationBases('controlnet'), schema.controlnet, 'ControlNet'),
  refusal([`${BASE}/super_resolution`], schema.superResolution, 'an upscaling model'),
  refusal([`${BASE}/load_vae`], schema.vaeBody, 'replacement VAEs'),
  refusal([`${BASE}/upload_image`], schema.uploadBody, 'a store for uploads'),
  refusal([`${BASE}/nsfw_image_check`], schema.imageCheckBody, 'a safety checker'),
].flat();

function refusal(paths: readonly string[], body: KeyedSchema, needs: string): Route[] {
  return endpoints(paths, {
    summary: `Not available yet: ${needs}`,
    body,
    run: () => Promise.reject(missingCapability(`'${paths[0]?.split('/').at(-1) ?? ''}' needs ${needs}`)),
  });
}

const lists = [
  ...endpoints([`${BASE}/get_all_models`], {
    summary: 'The installed models',
    body: schema.keyBody,
    run: async (call) => usableModels(await call.ask((host) => host.models())).map(describeModel),
  }),
  ...endpoints([`${BASE}/schedulers_list`], {
    summary: 'The schedulers',
    body: schema.keyBody,
    run: () => Promise.resolve({ status: 'success', schedulers: DIFFUSERS_SCHEDULERS }),
  }),
  ...endpoints([`${BASE}/verify_model`], {
    summary: 'Whether a model is installed',
    body: schema.modelBody,
    run: async (call) => {
      const model = findModel(await call.ask((host) => host.models()), call.body.model_id);
      if (!model) throw new AppError('model_not_found', `Model not found: ${call.body.model_id}`);
      return done(`Model is ready: ${model.pack.id}`);
    },
  }),
];

function describeModel({ pack, state }: ModelInfo) {
  return {
    model_id: pack.id,
    model_name: pack.title,
    status: state.stage === 'installed' ? 'model_ready' : state.stage,
    created_at: state.stage === 'installed' ? new Date(state.installedAt).toISOString() : null,
  };
}

const modelCare = [
  ...endpoints([`${BASE}/load_model`, `${BASE}/load_model_v2`], {
    summary: 'Installs a model of the catalogue',
    body: schema.modelBody,
    run: async (call) => {
      const { model_id: id } = call.body;
      const known = (await call.ask((host) => host.models())).find(({ pack }) => pack.id === id);
      if (!known) throw missingCapability(`'url' needs models from other places than the catalogue`, 'url');
      if (known.state.stage === 'installed') return done(`Model is ready: ${id}`);
      // Its progress shows in get_all_models and in the app; the request is answered at once.
      void call.ask((host) => host.installModel(id)).catch(() => undefined);
      return done(`Model is being downloaded: ${id}, ${Math.ceil(known.sizeBytes / 1e6)} MB`);
    },
  }),
  ...endpoints([`${BASE}/delete_model`], {
    summary: 'Removes an installed model',
    body: schema.modelBody,
    run: async (call) => {
      const model = findModel(await call.ask((host) => host.models()), call.body.model_id);
      if (!model) throw new AppError('model_not_found', `Model not found: ${call.body.model_id}`);
      await call.ask((host) => host.removeModel(model.pack.id));
      return done(`Model deleted: ${model.pack.id}`);
    },
  }),
];

const OPERATION_DONE = 'Operation completed successfully';

const operations = [
  ...endpoints([`${BASE}/clear_queue`, `${BASE}/images/clear_queue`], {
    summary: 'Cancels the requests that wait',
    body: schema.keyBody,
    run: async (call) => {
      const records = await call.ask((host) => host.unfinishedJobs());
      const waiting = records.filter(
        ({ origin, stage }) => origin.client === modelslab.name && stage === 'queued',
      );
      for (const { id } of waiting) await call.ask((host) => host.cancel(id));
      return done(OPERATION_DONE);
    },
  }),
  // There is no server whose state these could change.
  ...endpoints(
    [
      ...['system_details', 'restart_server', 'update_server', 'clear_cache', 'sync_models'].map(
        (name) => `${BASE}/${name}`,
      ),
      ...['system_details', 'restart_server', 'update', 'clear_cache'].map(
        (name) => `${BASE}/images/${name}`,
      ),
    ],
    {
      summary: 'Accepted without effect',
      body: schema.keyBody,
      run: () => Promise.resolve(done(OPERATION_DONE)),
    },
  ),
];

function done(message: string) {
  return { status: 'success', message };
}

export const modelslab = defineDialect({
  name: 'modelslab',
  title: 'ModelsLab',
  prefix: '/modelslab',
  roots: [`${BASE}/`, '/api/v6/'],
  bodyRule: 'lenient',
  routes: [...text2img, ...fetching, base64Output, ...unavailable, ...lists, ...modelCare, ...operations],
  renderError,
  renderInvalid: ([invalid]) => failure(400, wordInvalid(invalid)),
  renderNotFound: (_method, path) => failure(404, `There is no endpoint ${path}`),
  renderWrongMethod: (method) => failure(405, `Method not allowed: ${method}`),
});

/** `messege` is the service's own spelling, which older clients read. */
function failure(status: number, message: string, more: object = {}): Rendered {
  return { status, body: { status: 'error', message, messege: message, ...more } };
}

function renderError(error: AppError): Rendered {
  const tip = error.detail?.['tip'];
  const more = typeof tip === 'string' ? { tip } : {};
  if (error.code !== 'queue_full') return failure(httpStatus(error), error.message, more);
  const limit = String(error.detail?.['limit'] ?? '');
  return failure(429, `Rate limit exceeded. Maximum ${limit} queued requests allowed.`.replace('  ', ' '), {
    retry_after: 30,
  });
}

function wordInvalid({ rule, path, json }: Invalid): string {
  if (rule === 'json') return `Invalid JSON: ${json?.message ?? ''}`;
  return path.length === 0 ? 'the body must be a JSON object' : rule;
}
