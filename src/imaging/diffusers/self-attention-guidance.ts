import { reflect } from '#imaging/opencv/convolve.ts';
import { createPlanes, type Planes } from '#imaging/planes.ts';

/** What a network predicts: the noise, the image, or a velocity between them. */
export type PredictionType = 'epsilon' | 'sample' | 'v_prediction';

const { fround } = Math;

/**
 * The image that a prediction means. This and the others: diffusers pipeline_stable_diffusion_sag.py, `pred_x0`,
 * `pred_epsilon`, `sag_masking`, `gaussian_blur_2d`; Hong et al. 2023, "Improving sample quality of diffusion models using
 * self-attention guidance".
 * @param alphaProduct the cumulative product of alphas at the step's timestep
 */
export function predictOriginal(
  sample: Float32Array,
  prediction: Float32Array,
  alphaProduct: number,
  type: PredictionType,
): Float32Array {
  if (type === 'sample') return prediction;
  const [signal, noise] = shares(alphaProduct);
  return type === 'epsilon'
    ? sample.map((value, i) => (value - noise * (prediction[i] ?? 0)) / signal)
    : sample.map((value, i) => signal * value - noise * (prediction[i] ?? 0));
}

/** The noise that a prediction means. */
export function predictNoise(
  sample: Float32Array,
  prediction: Float32Array,
  alphaProduct: number,
  type: PredictionType,
): Float32Array {
  if (type === 'epsilon') return prediction;
  const [signal, noise] = shares(alphaProduct);
  return type === 'sample'
    ? sample.map((value, i) => (value - signal * (prediction[i] ?? 0)) / noise)
    : sample.map((value, i) => noise * value + signal * (prediction[i] ?? 0));
}

/** Attention that a network's middle block pays, as probabilities. */
export interface SelfAttention {
  heads: number;
  /** Size of the block's map. */
  height: number;
  width: number;
  /** heads × queries × keys. */
  data: Float32Array;
}

/**
 * The predicted image of one latent with what the network looks at most blurred, and noised again to the step's level.
 * @param noise the predicted noise
 */
export function degradeLatents(
  predicted: Planes,
  attention: SelfAttention,
  noise: Float32Array,
  alphaProduct: number,
): Planes {
  const { width, height } = predicted;
  const mask = attentionMask(attention);
  const blurred = gaussianBlur2d(predicted);
  const [signal, noiseShare] = shares(alphaProduct);
  const data = predicted.data.map((own, i) => {
    const x = Math.floor(((i % width) * attention.width) / width);
    const y = Math.floor(((Math.floor(i / width) % height) * attention.height) / height);
    const degraded = mask[y * attention.width + x] ? (blurred.data[i] ?? 0) : own;
    return signal * degraded + noiseShare * (noise[i] ?? 0);
  });
  return { ...predicted, data };
}

/** Where a key gets more than a query's share of the attention, by the mean of the heads. */
function attentionMask({ heads, height, width, data }: SelfAttention): boolean[] {
  const keys = height * width;
  const sums = new Float64Array(keys);
  for (const [i, value] of data.entries()) sums[i % keys] = (sums[i % keys] ?? 0) + value;
  return Array.from(sums, (sum) => sum / heads > 1);
}

/** Kernel of the blur: its radius in pixels, and its standard deviation is 1. */
const RADIUS = 4;

/** A Gaussian blur of 9 × 9 with a standard deviation of 1; the border is reflected without the edge. */
export function gaussianBlur2d({ channels, width, height, data }: Planes): Planes {
  const weights = Array.from({ length: 2 * RADIUS + 1 }, (_, i) => Math.exp(-0.5 * (i - RADIUS) ** 2));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const kernel = weights.map((weight) => fround(weight / sum));
  const blurLines = (source: Float32Array, length: number, step: number) =>
    source.map((_, i) => {
      const position = Math.floor(i / step) % length;
      return kernel.reduce((total, weight, tap) => {
        const place = reflect(position + tap - RADIUS, length);
        return total + weight * (source[i + (place - position) * step] ?? 0);
      }, 0);
    });
  const blurred = createPlanes({ channels, height, width });
  blurred.data.set(blurLines(blurLines(data, width, 1), height, width));
  return blurred;
}

/** How much of the image and of the noise is in a latent. */
function shares(alphaProduct: number): [signal: number, noise: number] {
  return [fround(Math.sqrt(alphaProduct)), fround(Math.sqrt(fround(1 - alphaProduct)))];
}
