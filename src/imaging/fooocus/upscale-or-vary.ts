import type { Size } from '#protocol/job.ts';
import { UPSCALER_FACTOR } from './inpaint.ts';
import { shapeCeil, sizeOfShapeCeil } from './sizes.ts';

/** How an image is prepared before encoding, and the denoising strength. */
export interface VaryPlan {
  /** The image is resized to this by Lanczos. */
  resized: Size;
  denoisingStrength: number;
  /** What the encoder keeps of it: multiples of 8. */
  final: Size;
}

/** The same of an image that goes through the upscaler first. */
export interface UpscalePlan {
  resized: Size;
  /** Null where the resized image is the result. */
  diffusion: { denoisingStrength: number; final: Size; tiled: boolean } | null;
}

const SMALLEST = 1024;
const LARGEST_TO_VARY = 2048;
const LARGEST_TO_UPSCALE = 2800;

const VARY_STRENGTHS = { subtle: 0.5, strong: 0.85 } as const;
const UPSCALE_STRENGTH = 0.382;

/**
 * Plans a variation. Source: Fooocus modules/async_worker.py, `apply_vary`.
 * @param overwriteStrength used instead of the kind's own where it is above 0
 */
export function planVary(image: Size, kind: 'subtle' | 'strong', overwriteStrength = -1): VaryPlan {
  const wanted = Math.min(Math.max(shapeCeil(image), SMALLEST), LARGEST_TO_VARY);
  const resized = sizeOfShapeCeil(image, wanted);
  return {
    resized,
    denoisingStrength: overwriteStrength > 0 ? overwriteStrength : VARY_STRENGTHS[kind],
    final: encodedSize(resized),
  };
}

/**
 * Plans an upscale: the upscaler's image is resized to the factor, or to about 1024² where that were smaller. Fast ones
 * and those above 2800² are not denoised. Source: the same file, `apply_upscale`.
 */
export function planUpscale(
  image: Size,
  factor: number,
  { fast = false, overwriteStrength = -1 } = {},
): UpscalePlan {
  const exact = { width: image.width * factor, height: image.height * factor };
  const isSmall = shapeCeil(exact) < SMALLEST;
  const upscaled = { width: image.width * UPSCALER_FACTOR, height: image.height * UPSCALER_FACTOR };
  const resized = isSmall
    ? sizeOfShapeCeil(upscaled, SMALLEST)
    : { width: Math.trunc(exact.width), height: Math.trunc(exact.height) };
  if (fast || shapeCeil(exact) > LARGEST_TO_UPSCALE) return { resized, diffusion: null };
  const denoisingStrength = overwriteStrength > 0 ? overwriteStrength : UPSCALE_STRENGTH;
  return { resized, diffusion: { denoisingStrength, final: encodedSize(resized), tiled: true } };
}

/** What a request's `uov_method` asks for. */
export type UovMethod =
  | { kind: 'disabled' }
  | { kind: 'vary'; strength: 'subtle' | 'strong' }
  | { kind: 'upscale'; factor: number; fast: boolean };

const DEFAULT_FACTOR = 2;

/**
 * Reads an upscale-or-vary method such as `Upscale (Fast 2x)`, in any case. Source: the same file; `Upscale (Custom)` is
 * Fooocus-API's.
 * @param upscaleValue the factor of the custom method; outside of 0…5 it counts as 2
 */
export function readUovMethod(method: string, upscaleValue = 0): UovMethod {
  const name = method.toLowerCase();
  if (name.includes('vary')) return { kind: 'vary', strength: name.includes('strong') ? 'strong' : 'subtle' };
  if (!name.includes('upscale')) return { kind: 'disabled' };
  const isCustom = name.includes('custom') && upscaleValue > 0 && upscaleValue < 5;
  const factor = isCustom ? upscaleValue : name.includes('1.5x') ? 1.5 : DEFAULT_FACTOR;
  return { kind: 'upscale', factor, fast: name.includes('fast') };
}

function encodedSize({ width, height }: Size): Size {
  return { width: Math.floor(width / 8) * 8, height: Math.floor(height / 8) * 8 };
}
