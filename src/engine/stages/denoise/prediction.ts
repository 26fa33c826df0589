import { readTrainingProcess, type NoiseModel } from '#engine/samplers/noise-model.ts';
import {
  predictNoise,
  predictOriginal,
  type PredictionType,
} from '#imaging/diffusers/self-attention-guidance.ts';

/** What a network's output means at a timestep. */
export interface PredictionRule {
  prediction: PredictionType;
  /** ᾱ of a timestep. */
  alphaAt: (timestep: number) => number;
}

/** How a model's output is read; null for flow-matching models. */
export function predictionRule(model: NoiseModel): PredictionRule | null {
  const process = readTrainingProcess(model, false);
  if (process.kind === 'flow') return null;
  const { prediction, alphasCumprod } = process;
  const last = alphasCumprod.length - 1;
  return {
    prediction,
    alphaAt: (timestep) => alphasCumprod[Math.min(Math.max(Math.round(timestep), 0), last)] ?? NaN,
  };
}

/** What an output says, and by how much it changes with what it says while the sample stays. */
export interface Reading {
  image: Float32Array;
  noise: Float32Array;
  weights: { image: number; noise: number };
}

/** Reads a network's output for a sample at a timestep. */
export type ReadOutput = (sample: Float32Array, output: Float32Array, timestep: number) => Reading;

/** How the output of a model's network is read, whatever it predicts. */
export function outputReader(model: NoiseModel): ReadOutput {
  const rule = predictionRule(model);
  return (sample, output, timestep) => {
    if (!rule) {
      // Flow matching: the sample is (1 − t) · image + t · noise, the output noise − image, which stands for the noise here.
      const level = timestep / 1000;
      return {
        image: sample.map((value, i) => value - level * (output[i] ?? 0)),
        noise: output,
        weights: { image: -1 / level, noise: 1 },
      };
    }
    const { prediction } = rule;
    const alpha = rule.alphaAt(timestep);
    return {
      image: predictOriginal(sample, output, alpha, prediction),
      noise: predictNoise(sample, output, alpha, prediction),
      weights: WEIGHTS[prediction](Math.sqrt(alpha), Math.sqrt(1 - alpha)),
    };
  };
}

/** From sample = signal · image + level · noise, and what each kind of output is. */
const WEIGHTS: Readonly<Record<PredictionType, (signal: number, level: number) => Reading['weights']>> = {
  epsilon: (signal, level) => ({ image: -signal / level, noise: 1 }),
  v_prediction: (signal, level) => ({ image: -1 / level, noise: 1 / signal }),
  sample: (signal, level) => ({ image: 1, noise: -level / signal }),
};
