import { faceRestorers, generationWith, restoreFaces } from '#api/face-restoration.ts';
import { findAddOn } from '#api/models.ts';
import { AppError } from '#protocol/error.ts';
import type { PostStep, UpscaleJob } from '#protocol/job.ts';
import { usableAddOns, type ModelId } from '#protocol/model.ts';
import { chooseModel, toYesNo, type Installed } from './map.ts';
import { packNames } from './names.ts';
import type { Reply, SuperResolutionBody } from './schema.ts';

/** The service's default. */
const DEFAULT_UPSCALER = 'realesr-general-x4v3';

/** The job of a request for `super_resolution`; faces are restored before they become larger. @throws AppError `model_not_found` */
export function upscaleJob(
  { scale, model_id: name, face_enhance: restoresFaces }: SuperResolutionBody,
  installed: Installed,
  image: Blob,
): UpscaleJob {
  const upscaling: PostStep = {
    kind: 'upscale',
    upscaler: chooseUpscaler(name, installed),
    size: { factor: scale },
  };
  return {
    task: 'upscale',
    sources: [{ image }],
    post: restoresFaces ? [restoration(installed), upscaling] : [upscaling],
    output: { format: 'png', quality: 1, texts: true },
  };
}

/** By an installed face restorer, or by the selected model. */
function restoration(installed: Installed): PostStep {
  const [restorer] = faceRestorers(installed.addOns);
  return restoreFaces(restorer, { visibility: 1 }, () => generationWith(chooseModel(null, installed).model));
}

/** The upscaler that a request names; without a name the service's default, or any installed one. */
function chooseUpscaler(name: string | null, { addOns, settings }: Installed): ModelId {
  const installed = usableAddOns(addOns, 'upscaler');
  const wanted = name ?? DEFAULT_UPSCALER;
  const named = findAddOn(addOns, 'upscaler', packNames(settings, wanted));
  const found = named ?? (name === null ? installed[0] : undefined);
  if (found) return found.pack.id;
  throw new AppError('model_not_found', `Upscaler not found: ${wanted}`, {
    detail: { tip: `Installed: ${installed.map(({ pack }) => pack.id).join(', ') || 'none'}` },
  });
}

/** What is kept with the job. */
export function upscaleReply(body: SuperResolutionBody, { post }: UpscaleJob): Reply {
  const upscaling = post.find((step) => step.kind === 'upscale');
  return {
    webhook: body.webhook,
    track_id: null,
    base64: false,
    temp: false,
    tip: null,
    meta: {
      model_id: upscaling?.upscaler ?? null,
      scale: body.scale,
      face_enhance: toYesNo(body.face_enhance),
    },
  };
}
