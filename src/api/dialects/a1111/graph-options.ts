import { requireOwnGraphs } from '#api/models.ts';
import type { GraphOptions } from '#protocol/job.ts';
import type { ModelInfo } from '#protocol/model.ts';
import type { Options } from './options.ts';

/** More than the tokens that can be merged: of four, one stays. */
const MOST_MERGED = 0.75;

/**
 * How much is merged, of the options that may say so: the first that is not 0.
 * @param ratios `token_merging_ratio` and its likes, in the order in which they count
 */
export function mergingRatio(...ratios: readonly number[]): number {
  return Math.min(ratios.find((ratio) => ratio !== 0) ?? 0, MOST_MERGED);
}

/**
 * How the request wants the networks built.
 * @param tiling the request's own, before the option's
 * @param merging 0 … 0.75
 * @throws AppError `unsupported_feature` where the model's graphs cannot be built so
 */
export function graphOptions(
  tiling: boolean | null,
  merging: number,
  options: Options,
  model: ModelInfo,
): { graph?: GraphOptions } {
  const isTiled = tiling ?? options.tiling;
  if (isTiled) requireOwnGraphs(model, 'tiling');
  if (merging > 0) requireOwnGraphs(model, 'token_merging_ratio');
  const graph = { ...(isTiled && { tiling: isTiled }), ...(merging > 0 && { tokenMerging: merging }) };
  return Object.keys(graph).length > 0 ? { graph } : {};
}
