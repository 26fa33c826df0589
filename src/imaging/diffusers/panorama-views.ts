import type { Size } from '#protocol/job.ts';
import type { Region } from '#imaging/pixels.ts';

/** Pixels of a latent pixel's side. */
const FACTOR = 8;

/** Settings of the views, in latent pixels. */
export interface ViewOptions {
  windowSize?: number;
  stride?: number;
  /** The panorama's right end continues at its left. */
  circular?: boolean;
}

/**
 * The square windows that a panorama is generated in, row by row; with `circular`, the last may reach past the right end.
 * Source: diffusers pipeline_stable_diffusion_panorama.py, `get_views`; Bar-Tal et al. 2023, equation 7.
 * @param panorama in pixels
 * @returns regions of the latents
 */
export function panoramaViews(
  panorama: Size,
  { windowSize = 64, stride = 8, circular = false }: ViewOptions = {},
): Region[] {
  const width = panorama.width / FACTOR;
  const height = panorama.height / FACTOR;
  const count = (side: number) => (side > windowSize ? Math.floor((side - windowSize) / stride) + 1 : 1);
  const columns = circular && width > windowSize ? Math.floor(width / stride) : count(width);
  return Array.from({ length: count(height) * columns }, (_, i) => {
    const x1 = (i % columns) * stride;
    const y1 = Math.floor(i / columns) * stride;
    return { x1, y1, x2: x1 + windowSize, y2: y1 + windowSize };
  });
}
