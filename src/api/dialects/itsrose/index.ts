import { describeImage, describerHeaders } from '#api/describe-image.ts';
import { FROM_NOISE, lacksTomesd, startFrom, type DiffusersStart } from '#api/diffusers-job.ts';
import { DIFFUSERS_SCHEDULERS } from '#api/diffusers-scheduler.ts';
import { httpStatus, type Invalid } from '#api/errors.ts';
import { publishImages } from '#api/files.ts';
import { readImageInput } from '#api/image-input.ts';
import { usableModels } from '#api/models.ts';
import { jsonResponse } from '#api/response.ts';
import { defineDialect, route, type Call, type Rendered } from '#api/route.ts';
import { AppError, type ErrorCode } from '#protocol/error.ts';
import { toAnswer, toJob } from './map.ts';
import {
  generatePromptAnswer,
  generatePromptQuery,
  img2imgBody,
  inpaintBody,
  txt2imgAnswer,
  txt2imgBody,
  type ImageFields,
  type Txt2imgBody,
} from './schema.ts';

type GenerationCall = Call<Txt2imgBody & Partial<ImageFields>, undefined>;

async function generate(call: GenerationCall, start: DiffusersStart) {
  const [models, addOns, settings] = await call.ask((host) =>
    Promise.all([host.models(), host.addOns(), host.settings()]),
  );
  const job = toJob(call.body, start, { models, addOns, settings });
  if (lacksTomesd(job, call.body.tomesd === 'yes', call.received)) call.ignore('tomesd');
  const record = await call.run(job);
  const images = await publishImages(call, record, record.id);
  return toAnswer(call.body, job, record.result, images);
}

const txt2img = route({
  method: 'POST',
  path: '/sdapi/txt2img',
  summary: 'An image from a prompt',
  body: txt2imgBody,
  answer: txt2imgAnswer,
  late: true,
  run: (call) => generate(call, FROM_NOISE),
});

const img2img = route({
  method: 'POST',
  path: '/sdapi/img2img',
  summary: 'An image from an image',
  body: img2imgBody,
  answer: txt2imgAnswer,
  late: true,
  run: async (call) => {
    const image = await readImageInput(call, call.body.init_image, 'init_image');
    return generate(call, startFrom(image, null, call.body.strength));
  },
});

const inpaint = route({
  method: 'POST',
  path: '/sdapi/inpaint',
  summary: 'Inpainting: part of an image generated again',
  body: inpaintBody,
  answer: txt2imgAnswer,
  late: true,
  run: async (call) => {
    const { init_image: initImage, mask_image: maskImage, strength } = call.body;
    const image = await readImageInput(call, initImage, 'init_image');
    const mask = await readImageInput(call, maskImage, 'mask_image');
    return generate(call, startFrom(image, mask, strength));
  },
});

const modelList = route({
  method: 'GET',
  path: '/sdapi/get_all_models',
  summary: 'The installed models',
  run: async (call) => {
    const models = usableModels(await call.ask((host) => host.models()));
    return success({ models: models.map(({ pack }) => pack.id) });
  },
});

const schedulerList = route({
  method: 'GET',
  path: '/sdapi/schedulers_list',
  summary: 'The schedulers',
  run: async () => Promise.resolve(success({ schedulers: DIFFUSERS_SCHEDULERS })),
});

const systemDetails = route({
  method: 'GET',
  path: '/sdapi/system_details',
  summary: 'The state of the queue',
  run: async (call) => {
    const unfinished = await call.ask((host) => host.unfinishedJobs());
    return success({ queue_num: unfinished.length });
  },
});

const generatePrompt = route({
  method: 'GET',
  path: '/sdapi/generate_prompt',
  summary: 'A prompt for an image',
  query: generatePromptQuery,
  answer: generatePromptAnswer,
  late: true,
  run: async (call) => {
    const image = await readImageInput(call, call.query.init_image, 'init_image');
    const description = await describeImage(call, image, { kind: 'caption' });
    return jsonResponse(success({ prompt: description.text }), 200, describerHeaders(description));
  },
});

/** Setting: the only key accepted; empty accepts every key, and none. */
const KEY_SETTING = 'itsrose.key';

/** The key comes as `Bearer <key>`; older clients send the bare key. @throws AppError `unauthorized` */
async function checkKey({ ask, request }: Call<unknown, unknown>): Promise<void> {
  const wanted = (await ask((host) => host.settings()))[KEY_SETTING];
  if (typeof wanted !== 'string' || wanted === '') return;
  const header = request.headers.get('Authorization')?.trim() ?? '';
  const [, key] = /^(?:Bearer\s+)?(\S+)$/i.exec(header) ?? [];
  if (key === wanted) return;
  const malformed = header === '' ? 'Authorization header is missing' : 'Authorization header is invalid';
  throw new AppError('unauthorized', key === undefined ? malformed : 'Invalid or expired access token');
}

/** What the original's validation would have stopped. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set(['model_not_found', 'unsupported_feature']);

export const itsrose = defineDialect({
  name: 'itsrose',
  title: 'itsrose',
  prefix: '/itsrose',
  service: {
    keyPlace: 'bearer',
    keyTitle: 'API key',
    probe: { method: 'GET', path: '/sdapi/schedulers_list' },
    allowSites: (origin) => `Put a proxy before it that sends Access-Control-Allow-Origin: ${origin}.`,
    hosts: ['api.itsrose.rest'],
  },
  roots: ['/sdapi/'],
  bodyRule: 'lenient',
  routes: [txt2img, img2img, inpaint, modelList, schedulerList, systemDetails, generatePrompt],
  authorize: checkKey,
  nameLora: (name) => `lora_model.${name}`,
  renderError: (error) => failure(REFUSALS.has(error.code) ? 400 : httpStatus(error), error.message),
  renderInvalid: ([invalid]) => failure(400, wordInvalid(invalid), describeInvalid(invalid)),
  renderNotFound: (method, path) =>
    failure(404, `Route ${method}:${path} not found - Please check your URL and try again.`),
  renderWrongMethod: (method, path) =>
    failure(405, `Route ${method}:${path} not found - Please check your URL and try again.`),
});

function success(result: object) {
  return { status: true, message: 'success', result };
}

function failure(status: number, message: string, result: object = {}): Rendered {
  return { status, body: { status: false, message, result } };
}

/** What was wrong, in the words of ajv. */
function wordInvalid({ rule, path, requirement, json }: Invalid): string {
  switch (rule) {
    case 'missing':
      return path.length === 0 ? 'must be object' : `must have required property '${String(path.at(-1))}'`;
    case 'json':
      return `Body is not valid JSON: ${json?.message ?? ''} at position ${json?.position ?? 0}`;
    case 'min':
      return `must be >= ${String(requirement)}`;
    case 'max':
      return `must be <= ${String(requirement)}`;
    case 'one_of':
      return 'must be equal to one of the allowed values';
    default:
      return `must be ${rule}`;
  }
}

const AJV_KEYWORD: Readonly<Record<string, string>> = {
  missing: 'required',
  min: 'minimum',
  max: 'maximum',
  one_of: 'enum',
};

/** Ajv's own report, which names the field its message leaves out. */
function describeInvalid(invalid: Invalid): object {
  if (invalid.rule === 'json') return {};
  const path = invalid.rule === 'missing' ? invalid.path.slice(0, -1) : invalid.path;
  return {
    instancePath: path.map((step) => `/${step}`).join(''),
    keyword: AJV_KEYWORD[invalid.rule] ?? 'type',
    message: wordInvalid(invalid),
    context: invalid.in,
  };
}
