import type { Margins } from '#imaging/pixels.ts';
import { createPlanes, type Planes } from '#imaging/planes.ts';
import { interpolate } from '#imaging/torch/interpolate.ts';
import type { HiresSizes } from './hires-size.ts';
import { decodedPixels, signedPlanes } from './img2img-result.ts';
import { latentUpscaleModes, type LatentUpscaler } from './latent-upscale.ts';
import { resizeImage, resizeImageWith, type Upscaler } from './resize.ts';

/** Pixels on a side of one latent cell. */
const CELL = 8;

/**
 * What the second pass of hires fix starts from with an upscaler of latents: the first pass's latents, stretched and cut.
 * Source: A1111 modules/processing.py, `sample_hr_pass`.
 */
export function upscaleLatents(
  latents: Planes,
  { upscaleTo, crop }: HiresSizes,
  upscaler: LatentUpscaler,
): Planes {
  const cells = { width: Math.floor(upscaleTo.width / CELL), height: Math.floor(upscaleTo.height / CELL) };
  return cropPlanes(interpolate(latents, cells, latentUpscaleModes[upscaler]), crop);
}

/**
 * The same with an upscaler of images: the decoded first pass, in 8 bits, upscaled. What comes out is to be encoded, and
 * its latents cut by {@link cropPlanes}.
 * @param decoded −1…1
 * @param upscaler null for plain Lanczos, the upscaler `None`
 * @returns −1…1
 */
export async function upscaleDecoded(
  decoded: Planes,
  { upscaleTo }: HiresSizes,
  upscaler: Upscaler | null,
): Promise<Planes> {
  const image = decodedPixels(decoded);
  const upscaled = upscaler
    ? await resizeImageWith(upscaler, 0, image, upscaleTo)
    : resizeImage(0, image, upscaleTo);
  return signedPlanes(upscaled);
}

/** Planes without their margins. */
export function cropPlanes(planes: Planes, { left, top, right, bottom }: Margins): Planes {
  const { channels } = planes;
  const width = planes.width - left - right;
  const height = planes.height - top - bottom;
  const cropped = createPlanes({ channels, height, width });
  for (let row = 0; row < channels * height; row++) {
    const from = (Math.floor(row / height) * planes.height + top + (row % height)) * planes.width + left;
    cropped.data.set(planes.data.subarray(from, from + width), row * width);
  }
  return cropped;
}
