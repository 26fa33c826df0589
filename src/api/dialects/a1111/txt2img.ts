import { route } from '#api/route.ts';
import type { GenerationKind, GenerationRequest } from './generation.ts';
import { answerGeneration } from './generation-answer.ts';
import { mergingRatio } from './graph-options.ts';
import { planHires, sizesOfHires } from './hires.ts';
import { initNoise } from './img2img-init.ts';
import { planJob, type Plan, type Start } from './map.ts';
import { TXT2IMG_JOB } from './progress.ts';
import { generationAnswer } from './schema.ts';
import { TXT2IMG_SCRIPTS } from './scripts/index.ts';
import { txt2imgBody, type Txt2imgBody } from './txt2img-body.ts';

/** How txt2img plans its jobs. */
export const TXT2IMG: GenerationKind<Txt2imgBody> = {
  isImg2img: false,
  jobName: TXT2IMG_JOB,
  parameters: txt2imgBody,
  scripts: TXT2IMG_SCRIPTS,
  plan,
};

export const txt2img = route({
  method: 'POST',
  path: '/sdapi/v1/txt2img',
  summary: 'Images from a prompt',
  body: txt2imgBody,
  answer: generationAnswer,
  late: true,
  run: (call) => answerGeneration(call, TXT2IMG),
});

async function plan(request: GenerationRequest<Txt2imgBody>): Promise<Plan> {
  const { body, options, installed, detailer } = request;
  const start: Start = {
    init: { from: 'noise' },
    size: { width: body.width, height: body.height },
    strength: 1,
    batchSize: body.batch_size,
    merging: mergingRatio(options.token_merging_ratio),
    pairs: [],
  };
  if (!body.enable_hr) {
    return planJob({ body, options, installed, detailer, units: await request.unitsFor(start) }, start);
  }
  const sizes = sizesOfHires(body, options);
  // The second pass starts from an image, and gets its noise like img2img; the multiplier is img2img's own.
  const { noise, pairs: noisePairs } = initNoise(1, options);
  const units = await request.unitsFor({ size: sizes.firstPass, isHires: true });
  return planJob(
    { body, options, installed, detailer, units },
    { ...start, ...(await firstImage(request)), size: sizes.firstPass, noise, noisePairs },
    (first) => planHires({ body, options, installed, sizes }, first),
  );
}

/** An image instead of the first pass: with a strength of 0 its latents stay unchanged. */
async function firstImage({
  body: { firstpass_image: image },
  read,
}: GenerationRequest<Txt2imgBody>): Promise<Partial<Start>> {
  if (image === null || image === '') return {};
  const images = [await read(image, 'firstpass_image')];
  return { init: { from: 'image', rules: 'a1111', images, fit: 'stretch' }, strength: 0, exactSteps: true };
}
