import { HTTP_STATUS, httpStatus } from '#api/errors.ts';
import { defineDialect, missingRoute, route, type Rendered } from '#api/route.ts';
import { finishedImages } from '#api/run-job.ts';
import { blobToBase64 } from '#codecs/base64.ts';
import { AppError } from '#protocol/error.ts';
import { samplerFor, toJob } from './map.ts';
import { img2imgBody, interrogateBody, txt2imgAnswer, txt2imgBody } from './schema.ts';

const txt2img = route({
  method: 'POST',
  path: '/txt2img',
  summary: 'An image from a prompt',
  body: txt2imgBody,
  answer: txt2imgAnswer,
  late: true,
  run: async (call) => {
    const [models, addOns] = await call.ask((host) => Promise.all([host.models(), host.addOns()]));
    const job = toJob(call.body, models, addOns);
    const { sampler_name: sampler } = call.body;
    if (sampler !== '' && sampler !== samplerFor(sampler)) call.ignore('sampler_name');
    const images = await finishedImages(call.ask, await call.run(job));
    return { images: await Promise.all(images.map((image) => blobToBase64(image.blob))) };
  },
});

const img2img = missingRoute({
  method: 'POST',
  path: '/img2img',
  summary: 'An image from an image',
  body: img2imgBody,
  needs: 'img2img',
});

/** Its failures have a field of their own. */
const interrogate = missingRoute({
  method: 'POST',
  path: '/interrogate',
  summary: 'A caption for an image',
  body: interrogateBody,
  needs: 'interrogate',
  check: ({ body }) => {
    if (body.model === 'clip' || body.model === 'deepdanbooru') return;
    throw new AppError('not_found', 'Model not found');
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
