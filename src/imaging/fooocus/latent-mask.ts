import { createPixels, toFloat, type Pixels } from '#imaging/pixels.ts';
import { resizeLinear } from '#imaging/opencv/resize.ts';

/** Pixels of a latent pixel's side. */
const FACTOR = 8;

/**
 * The mask of the latents: a latent pixel is generated where any of its 64 pixels is. The mask is first stretched over
 * the 8 × 8 blocks, since the encoder cuts what a side has beyond a multiple of 8. Source: Fooocus modules/core.py,
 * `encode_vae_inpaint`.
 * @param mask 0 and 255
 * @returns 0 and 255, an eighth as large
 */
export function latentMask(mask: Pixels): Pixels {
  const size = { width: Math.floor(mask.width / FACTOR), height: Math.floor(mask.height / FACTOR) };
  const blocks = { width: size.width * FACTOR, height: size.height * FACTOR };
  const stretched = resizeLinear(toFloat(mask), blocks);
  const latents = createPixels(size, 1);
  for (let i = 0; i < stretched.data.length; i++) {
    // A half is rounded to the even 0.
    if ((stretched.data[i] ?? 0) <= 127.5) continue;
    const x = i % blocks.width;
    const y = (i - x) / blocks.width;
    latents.data[Math.floor(y / FACTOR) * size.width + Math.floor(x / FACTOR)] = 255;
  }
  return latents;
}
