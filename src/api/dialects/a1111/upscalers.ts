import { findAddOn } from '#api/models.ts';
import { PLAIN_UPSCALERS, type UpscalerName } from '#protocol/job.ts';
import type { AddOnInfo } from '#protocol/model.ts';

/** The upscaler of this name: one that needs no network, or an installed one. */
export function findUpscaler(name: string, addOns: readonly AddOnInfo[]): UpscalerName | undefined {
  return PLAIN_UPSCALERS.find((known) => known === name) ?? findAddOn(addOns, 'upscaler', name)?.pack.id;
}
