import { FROM_NOISE, lacksTomesd, startFrom } from '#api/diffusers-job.ts';
import { bytesResponse } from '#api/response.ts';
import { route, type Call, type Route } from '#api/route.ts';
import { blobToBase64 } from '#codecs/base64.ts';
import { AppError } from '#protocol/error.ts';
import type { ControlSpec } from '#protocol/job.ts';
import type { ModelInfo } from '#protocol/model.ts';
import { BASE64_FOLDER } from './answers.ts';
import { chooseControls } from './controlnet.ts';
import { BASE, endpoints, inEditingBases, inGenerationBases } from './endpoints.ts';
import { readImage, readOptionalImage, repeatAddress } from './images.ts';
import {
  checkSize,
  chooseModel,
  toJob,
  toReply,
  toYesNo,
  type GenerationBody,
  type Installed,
  type Variant,
} from './map.ts';
import * as schema from './schema.ts';
import type { ControlnetBody, Text2imgBody } from './schema.ts';
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

type GenerationCall = Call<GenerationBody, undefined>;

/** Generates what an endpoint makes of a request; `variantOf` reads its images. */
async function generate(
  call: GenerationCall,
  variantOf: (model: ModelInfo, installed: Installed) => Variant | Promise<Variant>,
): Promise<unknown> {
  const { body } = call;
  checkSize(body);
  const installed = await findInstalled(call);
  const { model, unknown } = chooseModel(body.model_id, installed);
  const variant = await variantOf(model, installed);
  const job = toJob(body, model, installed, variant);
  if (unknown !== null) call.ignore('model_id');
  if (lacksTomesd(job, body.tomesd, call.received)) call.ignore('tomesd');
  return answerJob(call, job, toReply(body, job, unknown, variant));
}

const text2img = endpoints(inGenerationBases('text2img'), {
  summary: 'Images from a prompt',
  body: schema.text2img,
  answer: schema.generationAnswer,
  late: true,
  run: (call) => {
    const { upscale, panorama, self_attention: selfAttention, highres_fix: highresFix } = call.body;
    const extras = { upscale, panorama, selfAttention, highresFix };
    return generate(call, () => ({ start: FROM_NOISE, extras, meta: metaOfExtras(call.body) }));
  },
});

function metaOfExtras({ panorama, self_attention: selfAttention, highres_fix: highresFix }: Text2imgBody) {
  return {
    panorama: toYesNo(panorama),
    self_attention: toYesNo(selfAttention),
    highres_fix: toYesNo(highresFix),
  };
}

const img2img = endpoints(inGenerationBases('img2img'), {
  summary: 'Images from an image',
  body: schema.img2img,
  answer: schema.generationAnswer,
  late: true,
  run: (call) => {
    const { init_image: initImage, strength } = call.body;
    return generate(call, async () => ({
      start: startFrom(await readImage(call, initImage, 'init_image'), null, strength),
      extras: {},
      meta: { init_image: repeatAddress(initImage), strength },
    }));
  },
});

const inpaint = endpoints([...inGenerationBases('inpaint'), ...inEditingBases('inpaint')], {
  summary: 'Inpainting: part of an image generated again',
  body: schema.inpaint,
  answer: schema.generationAnswer,
  late: true,
  run: (call) => {
    const { init_image: initImage, mask_image: maskImage, strength } = call.body;
    return generate(call, async () => {
      const image = await readImage(call, initImage, 'init_image');
      const mask = await readImage(call, maskImage, 'mask_image');
      return {
        start: startFrom(image, mask, strength),
        extras: {},
        meta: { init_image: repeatAddress(initImage), mask_image: repeatAddress(maskImage), strength },
      };
    });
  },
});

const controlnet = endpoints(inGenerationBases('controlnet'), {
  summary: 'Images from a prompt and a control image, also from an image and with a mask',
  body: schema.controlnet,
  answer: schema.generationAnswer,
  late: true,
  run: (call) => {
    const { body } = call;
    if (body.prompt === '' && !body.guess_mode) throw new AppError('invalid_request', 'prompt is required');
    return generate(call, async (model, installed) => {
      const image = await readImage(call, body.init_image, 'init_image');
      const mask = await readOptionalImage(call, body.mask_image, 'mask_image');
      const control = await readOptionalImage(call, body.control_image, 'control_image');
      const controls = chooseControls(body, model, installed, control ?? image);
      return {
        // An image that is only looked at for its lines is nothing to start from.
        start: control || mask ? startFrom(image, mask, body.strength) : FROM_NOISE,
        extras: { upscale: body.upscale },
        controls,
        meta: metaOfControls(body, controls),
      };
    });
  },
});

function metaOfControls(body: ControlnetBody, controls: readonly ControlSpec[]) {
  return {
    controlnet_model: controls.map(({ id }) => id).join(','),
    controlnet_conditioning_scale: body.controlnet_conditioning_scale,
    auto_hint: toYesNo(body.auto_hint),
    guess_mode: toYesNo(body.guess_mode),
    init_image: repeatAddress(body.init_image),
    control_image: repeatAddress(body.control_image),
    mask_image: repeatAddress(body.mask_image),
    strength: body.strength,
  };
}

const superResolution = endpoints(
  [`${BASE}/super_resolution`, `${BASE}/super_resolution/make`, ...inEditingBases('super_resolution')],
  {
    summary: 'An image upscaled',
    body: schema.superResolution,
    answer: schema.generationAnswer,
    late: true,
    run: async (call) => {
      const installed = await findInstalled(call);
      const image = await readImage(call, call.body.url, 'url');
      const job = upscaleJob(call.body, installed, image);
      return answerJob(call, job, upscaleReply(call.body, job));
    },
  },
);

/** Where requests that took longer are fetched: each group of endpoints has its own. */
const FETCHES = [...inGenerationBases('fetch'), ...inEditingBases('fetch'), `${BASE}/super_resolution/fetch`];

const fetching = [
  ...endpoints(FETCHES, {
    summary: 'The images of an earlier request',
    body: schema.fetchBody,
    run: (call) => answerFetch(call, CLIENT, call.body.request_id),
  }),
  ...endpoints(
    FETCHES.map((path) => `${path}/:id`),
    {
      summary: 'The images of an earlier request, by its id',
      body: schema.keyBody,
      run: (call) => answerFetch(call, CLIENT, call.params['id'] ?? ''),
    },
  ),
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
  ...img2img,
  ...inpaint,
  ...controlnet,
  ...superResolution,
  ...fetching,
  base64Output,
];
