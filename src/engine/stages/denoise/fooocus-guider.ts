import type { NoiseModel } from '#engine/samplers/noise-model.ts';
import { anisotropicFilter } from '#imaging/fooocus/anisotropic-filter.ts';
import { adaptiveScale, smoothedShare } from '#imaging/fooocus/guidance.ts';
import type { FooocusGuidance } from '#protocol/job.ts';
import { outputReader } from './prediction.ts';
import type { GuidedUnet, LatentShape } from './unet.ts';

/** Guidance the way Fooocus changes it. */
export interface FooocusGuider {
  /** The scale at a timestep, of one that is asked for. */
  scaleAt(guidanceScale: number, timestep: number): number;
  /** Whether outputs are sharpened before they are summed up; that is done on arrays. */
  sharpens: boolean;
  /**
   * The network's output for the prompt, sharpened: a little of its noise is smoothed within what looks alike in the image
   * that it predicts.
   * @param sample what the network was given, without channels beside the latents
   */
  sharpen(sample: Float32Array, output: Float32Array, shape: LatentShape, timestep: number): Float32Array;
}

/** Whether a network's outputs are sharpened: Fooocus does it where they are guided. */
export function isSharpened({
  fooocus,
  guidanceScale,
}: Pick<GuidedUnet, 'fooocus' | 'guidanceScale'>): boolean {
  return fooocus?.sharpens === true && guidanceScale !== 1;
}

/** @see FooocusGuidance */
export function createFooocusGuider(
  { adaptiveScale: adaptive, sharpness }: Pick<FooocusGuidance, 'adaptiveScale' | 'sharpness'>,
  model: NoiseModel,
): FooocusGuider {
  const readOutput = outputReader(model);
  return {
    scaleAt: (guidanceScale, timestep) => adaptiveScale(guidanceScale, adaptive, timestep),
    sharpens: sharpness > 0,
    sharpen(sample, output, shape, timestep) {
      const share = smoothedShare(sharpness, timestep);
      if (share === 0) return output;
      const { image, noise, weights } = readOutput(sample, output, timestep);
      // Fooocus smooths the sample less the image, which is the noise times a number; the filter does not see the number.
      const smoothed = anisotropicFilter({ ...shape, data: noise }, { ...shape, data: image }).data;
      return output.map((value, i) => value + weights.noise * share * ((smoothed[i] ?? 0) - (noise[i] ?? 0)));
    },
  };
}
