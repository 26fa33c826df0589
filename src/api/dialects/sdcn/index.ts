import { HTTP_STATUS, httpStatus } from '#api/errors.ts';
import { readImageInput } from '#api/image-input.ts';
import { defineDialect, missingRoute, route, type Call, type Rendered } from '#api/route.ts';
import { finishedImages } from '#api/run-job.ts';
import { blobToBase64 } from '#codecs/base64.ts';
import { AppError } from '#protocol/error.ts';
import { planImg2img, planTxt2img, samplerFor, type Installed, type Planned } from './map.ts';
import { img2imgBody, interrogateBody, txt2imgAnswer, txt2imgBody, type Img2imgBody } from './schema.ts';

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
