import { AppError } from '#protocol/error.ts';
import { usableAddOns, type AddOnInfo, type ModelFamily } from '#protocol/model.ts';
import { fitsVisionModel, neededVisionModel } from '#protocol/vision-widths.ts';

/** The installed IP-Adapters that a model of a family can use. */
export function fittingIpAdapters(addOns: readonly AddOnInfo[], family: ModelFamily): AddOnInfo[] {
  return usableAddOns(addOns, 'ip-adapter').filter(
    ({ pack }) => pack.family === null || pack.family === family,
  );
}

/**
 * The CLIP vision model that an IP-Adapter needs.
 * @throws AppError `model_not_found` that says what to install
 */
export function requireVisionModel({ pack: adapter }: AddOnInfo, addOns: readonly AddOnInfo[]): AddOnInfo {
  const { vision = {} } = adapter;
  const found = usableAddOns(addOns, 'clip-vision').find(
    ({ pack }) => pack.vision && fitsVisionModel(vision, pack.vision),
  );
  if (found) return found;
  throw new AppError(
    'model_not_found',
    `The IP-Adapter "${adapter.title}" needs ${neededVisionModel(vision)}, which is not installed. Install it in Models.`,
    { detail: { model: adapter.id, kind: 'clip-vision' } },
  );
}
