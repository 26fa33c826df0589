import { describeImage, describerHeaders, type DescriptionKind } from '#api/describe-image.ts';
import { HTTP_STATUS, httpStatus } from '#api/errors.ts';
import { readImageInput } from '#api/image-input.ts';
import { jsonResponse } from '#api/response.ts';
import { defineDialect, route, type Call, type Rendered } from '#api/route.ts';
import { finishedImages } from '#api/run-job.ts';
import { blobToBase64 } from '#codecs/base64.ts';
import { AppError } from '#protocol/error.ts';
import { planImg2img, planTxt2img, samplerFor, type Installed, type Planned } from './map.ts';
import {
  img2imgBody,
  interrogateAnswer,
  interrogateBody,
  txt2imgAnswer,
  txt2imgBody,
  type Img2imgBody,
} from './schema.ts';

type GenerationCall = Call<Pick<Img2imgBody, 'sampler_name'>, undefined>;

async function generate(call: GenerationCall, plan: (installed: Installed) => Promise<Planned>) {
  const [models, addOns] = await call.ask((host) => Promise.all([host.models(), host.addOns()]));
  const { job, ignored } = await plan({ models, addOns });
  call.ignore(...ignored);
  const { sampler_name: sampler } = call.body;
  if (sampler !== '' && sampler !== samplerFor(sampler)) call.ignore('sampler_name');
  const images = await finishedImages(call.ask, await call.run(job));
  return { images: await Promise.all(images.map((image) => blobToBase64(image.blob))) };
}

const txt2img = route({
  method: 'POST',
  path: '/txt2img',
  summary: 'An image from a prompt',
  body: txt2imgBody,
  answer: txt2imgAnswer,
  late: true,
  run: (call) => generate(call, (installed) => planTxt2img(call.body, installed)),
});

const img2img = route({
  method: 'POST',
  path: '/img2img',
  summary: 'An image from an image',
  body: img2imgBody,
  answer: txt2imgAnswer,
  late: true,
  run: async (call) => {
    const image = await readImageInput(call, call.body.init_image, 'init_image');
    return generate(call, (installed) => planImg2img(call.body, image, installed));
  },
});

const KINDS: Readonly<Record<string, DescriptionKind>> = { clip: 'caption', deepdanbooru: 'tags' };

/** Its failures have a field of their own. */
const interrogate = route({
  method: 'POST',
  path: '/interrogate',
  summary: 'A caption for an image, or its tags',
  body: interrogateBody,
  answer: interrogateAnswer,
  late: true,
  run: async (call) => {
    const kind = KINDS[call.body.model];
    if (!kind) throw new AppError('not_found', 'Model not found');
    const image = await readImageInput(call, call.body.image, 'image').catch((thrown: unknown) => {
      throw refusedImage(thrown);
    });
    const description = await describeImage(call, image, { kind });
    return jsonResponse({ caption: description.text }, 200, describerHeaders(description));
  },
});

/** An image that A1111 would not read. */
function refusedImage(thrown: unknown): unknown {
  if (!(thrown instanceof AppError) || thrown.code !== 'invalid_request') return thrown;
  return new AppError('invalid_request', 'Invalid encoded image', { detail: { status: 500 }, cause: thrown });
}

export const sdcn = defineDialect({
  name: 'sdcn',
  title: 'SDCN',
  prefix: '/sdcn',
  service: {
    keyPlace: 'bearer',
    keyTitle: 'API key',
    probe: { method: 'GET', path: '/hallofhonor' },
    allowSites: (origin) => `Let it send Access-Control-Allow-Origin: ${origin}.`,
    hosts: ['api.sdcn.info'],
  },
  roots: ['/txt2img', '/img2img', '/interrogate'],
  bodyRule: 'lenient',
  bodyLimit: 4 * 1024 * 1024,
  routes: [txt2img, img2img, interrogate],
  renderError: (error, failed) => {
    const status = error.code === 'unsupported_feature' ? HTTP_STATUS.invalid_request : httpStatus(error);
    return failed === interrogate
      ? { status, body: { detail: error.message } }
      : failure(status, error.message);
  },
  renderInvalid: ([invalid]) =>
    failure(
      HTTP_STATUS.invalid_request,
      invalid.rule === 'json' ? 'Invalid JSON' : 'The body must be a JSON object',
    ),
  renderNotFound: () => failure(404, 'Not found'),
  renderWrongMethod: (method) => failure(405, `${method} is not allowed; use POST`),
});

function failure(status: number, msg: string): Rendered {
  return { status, body: { msg } };
}
