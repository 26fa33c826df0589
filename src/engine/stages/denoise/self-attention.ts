import type { NoiseModel } from '#engine/samplers/noise-model.ts';
import { degradeLatents, predictNoise, predictOriginal } from '#imaging/diffusers/self-attention-guidance.ts';
import { AppError } from '#protocol/error.ts';
import type { GuidanceRow } from './guidance.ts';
import { predictionRule, type PredictionRule } from './prediction.ts';
import type { LatentShape } from './unet.ts';

/** Self-attention guidance: Hong et al. 2022, arXiv 2210.00939. */
export interface SelfAttentionGuidance extends PredictionRule {
  scale: number;
}

/** A row and the network's output for it. */
export interface GuidedRow {
  row: GuidanceRow;
  output: Float32Array;
  /** How much attention the mid block pays to each of its cells: probabilities summed over queries, mean of the heads. */
  attention?: Float32Array;
}

/** @throws AppError `unsupported_feature` for flow-matching models */
export function selfAttentionGuidance(scale: number, model: NoiseModel): SelfAttentionGuidance {
  const rule = predictionRule(model);
  if (!rule) {
    throw new AppError(
      'unsupported_feature',
      'Self-attention guidance does not work with flow-matching models. Turn it off, or choose another checkpoint.',
    );
  }
  return { scale, ...rule };
}

/**
 * The latents of each image with what the network looks at most blurred, by the row that guidance leads away from: the
 * unconditional one, or the only one. Source: diffusers, pipeline_stable_diffusion_sag.py.
 * @throws AppError `unsupported_feature` where the mid block has no attention
 */
export function degradeRows(
  results: readonly GuidedRow[],
  latentsOf: (row: GuidanceRow) => Float32Array,
  { alphaAt, prediction }: SelfAttentionGuidance,
  { shape, timestep }: { shape: LatentShape; timestep: number },
): Map<GuidanceRow, Float32Array> {
  const chosen = new Map<number, GuidedRow>();
  for (const result of results) {
    const { image, unconditional } = result.row;
    if (unconditional || !chosen.has(image)) chosen.set(image, result);
  }
  const degraded = new Map<GuidanceRow, Float32Array>();
  const alpha = alphaAt(timestep);
  for (const { row, output, attention } of chosen.values()) {
    if (!attention) {
      throw new AppError(
        'unsupported_feature',
        'This UNet has no attention layer for self-attention guidance. Turn it off, or choose another checkpoint.',
      );
    }
    const sample = latentsOf(row);
    const predicted = { ...shape, data: predictOriginal(sample, output, alpha, prediction) };
    const map = { heads: 1, ...mapSize(shape, attention.length), data: attention };
    const noise = predictNoise(sample, output, alpha, prediction);
    degraded.set(row, degradeLatents(predicted, map, noise, alpha).data);
  }
  return degraded;
}

/** Height and width of the mid block's map: those of the latents, halved until there are so many cells. */
function mapSize({ height, width }: LatentShape, cells: number): { height: number; width: number } {
  let map = { height, width };
  while (map.height * map.width > cells) {
    map = { height: Math.ceil(map.height / 2), width: Math.ceil(map.width / 2) };
  }
  return map;
}
