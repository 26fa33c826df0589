import type { FloatType } from '#weights/casts.ts';
import type { TensorSource } from '#weights/tensor-source.ts';

/** What every architecture can be built with. */
export interface BuildOptions {
  /** The weights under their diffusers or transformers names. */
  weights: TensorSource;
  /** What the arithmetic is done in: float16 only where the device has `shader-f16`. Inputs and outputs stay float32. */
  precision?: FloatType;
  /** See `GraphOptions` of graph/graph.ts. */
  slicesAttention?: boolean;
  /**
   * See `GraphOptions` of graph/graph.ts. Not for networks that convolve images at their full size, which autoencoders and
   * upscalers do: four times their activations would be gigabytes.
   */
  winograd?: boolean;
}
