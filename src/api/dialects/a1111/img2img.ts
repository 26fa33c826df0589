import { route } from '#api/route.ts';
import type { ControlSpec, OutputSpec } from '#protocol/job.ts';
import { httpException } from './errors.ts';
import type { GenerationKind, GenerationRequest } from './generation.ts';
import { answerGeneration } from './generation-answer.ts';
import { mergingRatio } from './graph-options.ts';
import { onBackground } from './background.ts';
import { strengthOf } from './hires.ts';
import { img2imgBody, type Img2imgBody } from './img2img-body.ts';
import { initNoise, planInit, type Img2imgFiles } from './img2img-init.ts';
import { planJob, type Plan } from './map.ts';
import type { Options } from './options.ts';
import { IMG2IMG_JOB } from './progress.ts';
import { generationAnswer } from './schema.ts';
import { IMG2IMG_SCRIPTS } from './scripts/index.ts';

/** How img2img plans its jobs. */
export const IMG2IMG: GenerationKind<Img2imgBody> = {
  isImg2img: true,
  jobName: IMG2IMG_JOB,
  parameters: img2imgBody,
  scripts: IMG2IMG_SCRIPTS,
  plan,
};

export const img2img = route({
  method: 'POST',
  path: '/sdapi/v1/img2img',
  summary: 'Images from images, also with a mask',
  body: img2imgBody,
  answer: generationAnswer,
  late: true,
  run: (call) => {
    if (!call.body.init_images?.length) throw httpException(404, 'Init image not found');
    return answerGeneration(call, IMG2IMG, (body) =>
      body.include_init_images ? body : { ...body, init_images: null, mask: null },
    );
  },
});

async function plan(request: GenerationRequest<Img2imgBody>): Promise<Plan> {
  const { body, options, overrides, installed, soft, detailer } = request;
  const files = await readFiles(request);
  const { init, batchSize, pairs, unknown } = planInit(body, files, options, installed, soft);
  const { noise, pairs: noisePairs } = initNoise(
    body.initial_noise_multiplier ?? options.initial_noise_multiplier,
    options,
  );
  const size = { width: body.width, height: body.height };
  const [image] = files.images;
  const units = await request.unitsFor({
    size,
    ...(image && { initImage: { image, fit: controlFit(body) } }),
    hasMask: init.from === 'masked',
  });
  const planned = planJob(
    { body, options, installed, detailer, units },
    {
      init,
      size,
      strength: strengthOf(body.denoising_strength),
      exactSteps: options.img2img_fix_steps,
      batchSize,
      merging: mergingRatio(
        ...(Object.hasOwn(overrides, 'token_merging_ratio') ? [options.token_merging_ratio] : []),
        options.token_merging_ratio_img2img,
        options.token_merging_ratio,
      ),
      noise,
      masks: init.from === 'masked' ? masksOf(options) : [],
      pairs,
      noisePairs,
    },
  );
  return { ...planned, unknown: [...planned.unknown, ...unknown] };
}

/** How the init image is brought to size as the image of a ControlNet. */
function controlFit({ resize_mode: mode }: Img2imgBody): ControlSpec['fit'] {
  return mode === 1 ? 'cover' : mode === 2 ? 'contain' : 'stretch';
}

async function readFiles({ body, options, read }: GenerationRequest<Img2imgBody>): Promise<Img2imgFiles> {
  const { img2img_background_color: background } = options;
  const readOptional = (field: 'mask' | 'latent_mask') =>
    body[field] === null || body[field] === '' ? null : read(body[field], field);
  const [mask, latentMask, ...images] = await Promise.all([
    readOptional('mask'),
    readOptional('latent_mask'),
    ...(body.init_images ?? []).map(async (image) =>
      onBackground(await read(image, 'init_images'), background),
    ),
  ]);
  return { images, mask, latentMask };
}

function masksOf({ return_mask: mask, return_mask_composite: composite }: Options): OutputSpec['masks'] {
  return [...(mask ? (['mask'] as const) : []), ...(composite ? (['composite'] as const) : [])];
}
