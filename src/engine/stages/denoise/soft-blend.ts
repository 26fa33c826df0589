import { softBlend, softMask } from '#imaging/a1111/soft-inpaint.ts';
import type { SoftInpainting } from '#protocol/job.ts';
import { latentLength, type LatentShape } from './unet.ts';

/**
 * A1111's soft inpainting for the latents of a batch: how those that are generated and those that stay are blended at a
 * noise level. Source: extensions-builtin/soft-inpainting, `on_mask_blend`.
 * @param mask of every number, 1 where it is generated again … 0 where it stays
 */
export function createSoftBlend(mask: Float32Array, shape: LatentShape, settings: SoftInpainting) {
  const length = latentLength(shape);
  const { height, width } = shape;
  return (inside: Float32Array, outside: Float32Array, level: number): Float32Array => {
    const blended = new Float32Array(inside.length);
    for (let start = 0; start < inside.length; start += length) {
      const own = (values: Float32Array) => ({ ...shape, data: values.subarray(start, start + length) });
      const cells = { channels: 1, height, width, data: mask.subarray(start, start + height * width) };
      const { data } = softBlend(own(outside), own(inside), softMask(cells, settings, level), settings);
      blended.set(data, start);
    }
    return blended;
  };
}
