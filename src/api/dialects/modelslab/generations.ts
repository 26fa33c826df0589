import { readImageInput } from '#api/image-input.ts';
import { bytesResponse } from '#api/response.ts';
import { route, type Call, type Route } from '#api/route.ts';
import { blobToBase64 } from '#codecs/base64.ts';
import { AppError } from '#protocol/error.ts';
import { BASE64_FOLDER } from './answers.ts';
import { chooseControls } from './controlnet.ts';
import { BASE, endpoints, inGenerationBases, missingEndpoints } from './endpoints.ts';
import { chooseModel, toJob, toReply, toYesNo, type Installed } from './map.ts';
import * as schema from './schema.ts';
import { upscaleJob, upscaleReply } from './super-resolution.ts';
import { answerFetch, answerJob } from './waiting.ts';

/** The origin of this dialect's jobs. */
export const CLIENT = 'modelslab';

function findInstalled({ ask }: Pick<Call<unknown, unknown>, 'ask'>): Promise<Installed> {
  return ask(async (host) => {
    const [models, addOns, settings] = await Promise.all([host.models(), host.addOns(), host.settings()]);
    return { models, addOns, settings };
  });
}

const text2img = endpoints(inGenerationBases('text2img'), {
  summary: 'Images from a prompt',
  body: schema.text2img,
  answer: schema.generationAnswer,
  run: async (call) => {
    const installed = await findInstalled(call);
    const job = toJob(call.body, chooseModel(call.body.model_id, installed), installed);
    return answerJob(call, job, toReply(call.body, job));
  },
});

const controlnet = endpoints(inGenerationBases('controlnet'), {
  summary: 'Images from a prompt and a control image',
  body: schema.controlnet,
  answer: schema.generationAnswer,
  run: async (call) => {
    const { body } = call;
    if (body.prompt === '' && !body.guess_mode) throw new AppError('invalid_request', 'prompt is required');
    const installed = await findInstalled(call);
    const model = chooseModel(body.model_id, installed);
    const image = await readImageInput(call, body.init_image);
    const controls = chooseControls(body, model, installed, image);
    const job = toJob(body, model, installed, controls);
    const reply = toReply(body, job);
    const meta = {
      controlnet_model: controls.map(({ id }) => id).join(','),
      controlnet_conditioning_scale: body.controlnet_conditioning_scale,
      auto_hint: toYesNo(body.auto_hint),
      guess_mode: toYesNo(body.guess_mode),
    };
    return answerJob(call, job, { ...reply, meta: { ...reply.meta, ...meta } });
  },
});

const superResolution = endpoints([`${BASE}/super_resolution`], {
  summary: 'An image upscaled',
  body: schema.superResolution,
  answer: schema.generationAnswer,
  run: async (call) => {
    const installed = await findInstalled(call);
    const image = await readImageInput(call, call.body.url);
    const job = upscaleJob(call.body, installed, image);
    return answerJob(call, job, upscaleReply(call.body, job));
  },
});

const unavailable = [
  ...missingEndpoints(inGenerationBases('img2img'), {
    summary: 'Images from an image',
    body: schema.img2img,
    needs: 'img2img',
  }),
  ...missingEndpoints(inGenerationBases('inpaint'), {
    summary: 'Part of an image generated again',
    body: schema.inpaint,
    needs: 'inpaint',
  }),
];

const fetching = [
  ...endpoints([`${BASE}/fetch`], {
    summary: 'The images of a request that took longer',
    body: schema.fetchBody,
    run: (call) => answerFetch(call, CLIENT, call.body.request_id),
  }),
  ...endpoints(inGenerationBases('fetch/:id'), {
    summary: 'The images of a request that took longer, by its id',
    body: schema.keyBody,
    run: (call) => answerFetch(call, CLIENT, call.params['id'] ?? ''),
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

/** Generations, and how their images are fetched. */
export const generations: readonly Route[] = [
  ...text2img,
  ...controlnet,
  ...superResolution,
  ...unavailable,
  ...fetching,
  base64Output,
];
