import { HTTP_STATUS, httpStatus } from '#api/errors.ts';
import { missingCapability } from '#api/parameters.ts';
import { jsonResponse } from '#api/response.ts';
import { defineDialect, route, type Rendered } from '#api/route.ts';
import { resultOf } from '#api/run-job.ts';
import { blobToBase64 } from '#codecs/base64.ts';
import { samplerFor, toJob } from './map.ts';
import { anyBody, txt2imgAnswer, txt2imgBody, txt2imgParameters } from './schema.ts';

const txt2img = route({
  method: 'POST',
  path: '/txt2img',
  summary: 'An image from a prompt',
  body: txt2imgBody,
  parameters: txt2imgParameters,
  answer: txt2imgAnswer,
  late: true,
  run: async (call) => {
    const [models, addOns] = await call.ask((host) => Promise.all([host.models(), host.addOns()]));
    const job = toJob(call.body, models, addOns);
    const { sampler_name: sampler } = call.body;
    if (sampler !== '' && sampler !== samplerFor(sampler)) call.ignore('sampler_name');
    const { images } = resultOf(await call.run(job));
    return { images: await Promise.all(images.map((image) => blobToBase64(image.blob))) };
  },
});

const img2img = route({
  method: 'POST',
  path: '/img2img',
  summary: 'Not available yet: an image from an image',
  body: anyBody,
  run: () => Promise.reject(missingCapability('img2img needs the encoding of images')),
});

/** Its failures have a field of their own. */
const interrogate = route({
  method: 'POST',
  path: '/interrogate',
  summary: 'Not available yet: a caption for an image',
  body: anyBody,
  run: ({ body }) => {
    const model = body['model'];
    return Promise.resolve(
      model !== undefined && model !== 'clip' && model !== 'deepdanbooru'
        ? jsonResponse({ detail: 'Model not found' }, 404)
        : jsonResponse({ detail: missingCapability('interrogate needs a captioning model').message }, 400),
    );
  },
});

export const sdcn = defineDialect({
  name: 'sdcn',
  title: 'SDCN',
  prefix: '/sdcn',
  roots: ['/txt2img', '/img2img', '/interrogate'],
  bodyRule: 'lenient',
  bodyLimit: 4 * 1024 * 1024,
  routes: [txt2img, img2img, interrogate],
  renderError: (error) =>
    failure(
      error.code === 'unsupported_feature' ? HTTP_STATUS.invalid_request : httpStatus(error),
      error.message,
    ),
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
