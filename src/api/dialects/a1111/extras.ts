import { generationWith } from '#api/face-restoration.ts';
import { route, type Call } from '#api/route.ts';
import { finishedImages } from '#api/run-job.ts';
import { blobToBase64 } from '#codecs/base64.ts';
import { upscalePairs, writePairs, type InfotextPair } from '#codecs/infotext.ts';
import type { PostStep, UpscaleJob, UpscalerName } from '#protocol/job.ts';
import type { AddOnInfo } from '#protocol/model.ts';
import { chosenCheckpoint, type Installed } from './checkpoints.ts';
import { pythonException } from './errors.ts';
import {
  extraBatchAnswer,
  extraBatchBody,
  extraSingleAnswer,
  extraSingleBody,
  type ExtrasBody,
} from './extras-body.ts';
import { extrasRestorations } from './face-restoration.ts';
import { readImage } from './image-input.ts';
import { planFile } from './map.ts';
import { effectiveOptions, type Options } from './options.ts';
import { EXTRAS_JOB, type ProgressReply } from './progress.ts';
import { findUpscaler } from './upscalers.ts';

const single = route({
  method: 'POST',
  path: '/sdapi/v1/extra-single-image',
  summary: 'An image upscaled, its faces restored',
  body: extraSingleBody,
  answer: extraSingleAnswer,
  late: true,
  run: async (call) => {
    const { html_info, images } = await upscale(call, [call.body.image]);
    return { html_info, image: images[0] ?? null };
  },
});

const batch = route({
  method: 'POST',
  path: '/sdapi/v1/extra-batch-images',
  summary: 'Images upscaled, their faces restored',
  body: extraBatchBody,
  answer: extraBatchAnswer,
  late: true,
  run: (call) =>
    upscale(
      call,
      call.body.imageList.map(({ data }) => data),
    ),
});

export const extraRoutes = [single, batch];

/** @param images the files, in base64 */
async function upscale(
  call: Pick<Call<ExtrasBody, undefined>, 'body' | 'ask' | 'run' | 'url' | 'signal'>,
  images: readonly string[],
): Promise<{ html_info: string; images: string[] }> {
  const [models, addOns, settings] = await call.ask((host) =>
    Promise.all([host.models(), host.addOns(), host.settings()]),
  );
  const options = effectiveOptions(settings);
  const files = await Promise.all(images.map((image) => readImage(call, image, options)));
  const job = planExtras(call.body, files, options, { models, addOns });
  const reply: ProgressReply = { job: EXTRAS_JOB };
  const upscaled = await finishedImages(call.ask, await call.run(job, { ...reply }));
  return {
    html_info: toHtml(upscaled.length > 0 ? writePairs(job.post.flatMap(pairsOf)) : ''),
    images: await Promise.all(upscaled.map(({ blob }) => blobToBase64(blob))),
  };
}

/** The job that a request asks for. @throws AppError as the original for upscalers that are not there */
function planExtras(
  body: ExtrasBody,
  files: readonly Blob[],
  options: Options,
  { models, addOns }: Installed,
): UpscaleJob {
  const upscaler = requireUpscaler(body.upscaler_1, addOns);
  // Without a first one the original does not look at the second.
  const second = upscaler === 'None' ? 'None' : requireUpscaler(body.upscaler_2, addOns);
  const visibility = body.extras_upscaler_2_visibility;
  const upscaling: PostStep = {
    kind: 'upscale',
    upscaler,
    ...(second !== 'None' && visibility > 0 && { second: { upscaler: second, visibility } }),
    size:
      body.resize_mode === 0
        ? { factor: body.upscaling_resize }
        : { width: body.upscaling_resize_w, height: body.upscaling_resize_h, crop: body.upscaling_crop },
  };
  const restorations = extrasRestorations(body, addOns, () =>
    generationWith(chosenCheckpoint(options, models)),
  );
  const [first, ...others] = restorations;
  return {
    task: 'upscale',
    sources: files.map((image) => ({ image })),
    post: first && !body.upscale_first ? [first, ...others, upscaling] : [upscaling, ...restorations],
    output: { ...planFile(options), texts: options.enable_pnginfo },
  };
}

/** What the answer says of a step. */
function pairsOf(step: PostStep): readonly InfotextPair[] {
  if (step.kind === 'upscale') return upscalePairs(step);
  return step.kind === 'safety' ? [] : step.infotext;
}

/** @throws AppError as the original for upscalers that are not there */
function requireUpscaler(name: string, addOns: readonly AddOnInfo[]): UpscalerName {
  const found = findUpscaler(name, addOns);
  if (found !== undefined) return found;
  throw pythonException('AssertionError', `could not find upscaler named ${name}`);
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#x27;',
};

/** A line of text as a paragraph, as the original's `plaintext_to_html` makes it. */
function toHtml(text: string): string {
  return `<p>${text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? character)}</p>`;
}
