import type { Pixels } from '#imaging/pixels.ts';
import { resizeNearest } from '#imaging/pillow/nearest.ts';
import { resize } from '#imaging/pillow/resize.ts';
import type { Upscaler } from './resize.ts';

/** One pass of an upscaler: a network makes an image larger by its own factor, a filter by the one that is wanted. */
export type UpscalePass = (image: Pixels, scale: number) => Pixels | Promise<Pixels>;

/** Passes of the upscalers that need no network. */
export const filterUpscalers = {
  None: (image) => image,
  Lanczos: (image, scale) => resize(image, scaled(image, scale), 'lanczos'),
  Nearest: (image, scale) => resizeNearest(image, scaled(image, scale)),
} as const satisfies Record<string, (image: Pixels, scale: number) => Pixels>;

/** Whether an upscaler of this name needs no network. */
export function isFilterUpscaler(name: string): name is keyof typeof filterUpscalers {
  return Object.hasOwn(filterUpscalers, name);
}

function scaled({ width, height }: Pixels, scale: number) {
  return { width: Math.trunc(width * scale), height: Math.trunc(height * scale) };
}

/**
 * An upscaler of passes, at most three, until the size is reached; then Lanczos to multiples of 8.
 * Source: A1111 modules/upscaler.py, `Upscaler.upscale`.
 */
export function upscalerOf(pass: UpscalePass): Upscaler {
  return async (image, scale) => {
    const width = Math.floor((image.width * scale) / 8) * 8;
    const height = Math.floor((image.height * scale) / 8) * 8;
    let upscaled = image;
    for (let i = 0; i < 3; i++) {
      if (upscaled.width >= width && upscaled.height >= height && (i > 0 || scale !== 1)) break;
      const before = upscaled;
      upscaled = await pass(before, scale);
      if (upscaled.width === before.width && upscaled.height === before.height) break;
    }
    return resize(upscaled, { width, height }, 'lanczos');
  };
}
