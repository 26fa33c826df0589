import { findAddOn, installedAddOns } from '#api/models.ts';
import { AppError } from '#protocol/error.ts';
import type { UpscaleJob } from '#protocol/job.ts';
import type { ModelId } from '#protocol/model.ts';
import { toYesNo, type Installed } from './map.ts';
import { packNames } from './names.ts';
import type { Reply, SuperResolutionBody } from './schema.ts';

/** The service's default. */
const DEFAULT_UPSCALER = 'realesr-general-x4v3';

/** The job of a request for `super_resolution`. @throws AppError `model_not_found` */
export function upscaleJob(
  { scale, model_id: name }: SuperResolutionBody,
  installed: Installed,
  image: Blob,
): UpscaleJob {
  return {
    task: 'upscale',
    sources: [{ image }],
    post: [{ kind: 'upscale', upscaler: chooseUpscaler(name, installed), size: { factor: scale } }],
    output: { format: 'png', quality: 1, texts: true },
  };
}

/** The upscaler that a request names; without a name the service's default, or any installed one. */
function chooseUpscaler(name: string | null, { addOns, settings }: Installed): ModelId {
  const installed = installedAddOns(addOns, 'upscaler');
  const wanted = name ?? DEFAULT_UPSCALER;
  const named = findAddOn(addOns, 'upscaler', packNames(settings, wanted));
  const found = named ?? (name === null ? installed[0] : undefined);
  if (found) return found.pack.id;
  throw new AppError('model_not_found', `Upscaler not found: ${wanted}`, {
    detail: { tip: `Installed: ${installed.map(({ pack }) => pack.id).join(', ') || 'none'}` },
  });
}

/** What is kept with the job. */
export function upscaleReply(body: SuperResolutionBody, { post: [step] }: UpscaleJob): Reply {
  return {
    webhook: body.webhook,
    track_id: null,
    base64: false,
    temp: false,
    tip: null,
    meta: { model_id: step.upscaler, scale: body.scale, face_enhance: toYesNo(body.face_enhance) },
  };
}
