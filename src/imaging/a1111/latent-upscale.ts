import type { InterpolateOptions } from '#imaging/torch/interpolate.ts';

/** Hires fix's upscalers that stretch the latents. Source: A1111 modules/shared.py, `latent_upscale_modes`. */
export const latentUpscaleModes = {
  Latent: { mode: 'bilinear', antialias: false },
  'Latent (antialiased)': { mode: 'bilinear', antialias: true },
  'Latent (bicubic)': { mode: 'bicubic', antialias: false },
  'Latent (bicubic antialiased)': { mode: 'bicubic', antialias: true },
  'Latent (nearest)': { mode: 'nearest', antialias: false },
  'Latent (nearest-exact)': { mode: 'nearest-exact', antialias: false },
} as const satisfies Record<string, InterpolateOptions>;

/** Name of an upscaler of latents. */
export type LatentUpscaler = keyof typeof latentUpscaleModes;

/** The one that hires fix takes when none is named. */
export const DEFAULT_LATENT_UPSCALER: LatentUpscaler = 'Latent';

/** Whether an upscaler of this name stretches latents. */
export function isLatentUpscaler(name: string): name is LatentUpscaler {
  return Object.hasOwn(latentUpscaleModes, name);
}
