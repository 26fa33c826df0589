import type { TensorValue } from '#engine/runtime/runtime.ts';
import { cropPixels, type Pixels } from '#imaging/pixels.ts';

/** Columns of latents that a panorama is continued by at each end. */
const COLUMNS = 8;

/**
 * Decodes latents whose right end continues at their left, so that the image's ends meet: with each end continued by the
 * other, which is cut off again. Source: diffusers, StableDiffusionPanoramaPipeline.decode_latents_with_padding.
 * @param decode makes pixels of latents
 */
export async function decodeCircular(
  latents: TensorValue,
  read: (latents: TensorValue) => Promise<Float32Array>,
  decode: (latents: TensorValue) => Promise<Pixels>,
): Promise<Pixels> {
  const [, channels = 0, height = 0, width = 0] = latents.dims;
  const values = await read(latents);
  const wide = width + 2 * COLUMNS;
  const data = Float32Array.from({ length: channels * height * wide }, (_, i) => {
    const column = ((((i % wide) - COLUMNS) % width) + width) % width;
    return values[Math.floor(i / wide) * width + column] ?? 0;
  });
  const image = await decode({ type: 'float32', data, dims: [1, channels, height, wide] });
  const border = (COLUMNS * image.width) / wide;
  return cropPixels(image, { x1: border, y1: 0, x2: image.width - border, y2: image.height });
}
