import type { NormInstruction } from './program.ts';

/** Arithmetic on batches of latents, image after image, that every executor does on arrays. */

function split(batch: Float32Array, images: number): Float32Array[] {
  const length = batch.length / images;
  return Array.from({ length: images }, (_, i) => batch.subarray(i * length, (i + 1) * length));
}

/** Limits every value to ±`limit`, in place. */
export function clampLatents(batch: Float32Array, limit: number): void {
  for (let i = 0; i < batch.length; i++) batch[i] = Math.min(Math.max(batch[i] ?? 0, -limit), limit);
}

/** `to = mask · inside + (1 − mask) · outside`; `to` may be one of the others. */
export function blendLatents(
  to: Float32Array,
  mask: Float32Array,
  inside: Float32Array,
  outside: Float32Array,
): void {
  for (let i = 0; i < to.length; i++) {
    const share = mask[i] ?? 0;
    to[i] = share * (inside[i] ?? 0) + (1 - share) * (outside[i] ?? 0);
  }
}

/** Dynamic thresholding, in place; see Machine.threshold. */
export function thresholdLatents(batch: Float32Array, images: number, ratio: number, maximum: number): void {
  for (const image of split(batch, images)) {
    const limit = Math.min(Math.max(quantile(image.map(Math.abs), ratio), 1), maximum);
    for (let i = 0; i < image.length; i++) {
      image[i] = Math.min(Math.max(image[i] ?? 0, -limit), limit) / limit;
    }
  }
}

/** torch.quantile: linear between the two nearest ranks. Sorts `values`. */
function quantile(values: Float32Array, ratio: number): number {
  values.sort();
  const rank = ratio * (values.length - 1);
  const below = values[Math.floor(rank)] ?? NaN;
  const above = values[Math.ceil(rank)] ?? NaN;
  return below + (above - below) * (rank - Math.floor(rank));
}

/** The answer to `norm`: the mean over the images; see Machine.norm. `bounds` are the tolerance's registers. */
export function measureNorm(
  batch: Float32Array,
  bounds: readonly Float32Array[],
  images: number,
  tolerance: NormInstruction['tolerance'],
): number {
  const boundsOf = bounds.map((bound) => split(bound, images));
  const norms = split(batch, images).map((image, p) => {
    let squares = 0;
    for (let i = 0; i < image.length; i++) {
      let scale = 1;
      if (tolerance) {
        let largest = 0;
        for (const bound of boundsOf) largest = Math.max(largest, Math.abs(bound[p]?.[i] ?? 0));
        scale = Math.max(tolerance.absolute, tolerance.relative * largest);
      }
      squares += ((image[i] ?? 0) / scale) ** 2;
    }
    return Math.sqrt(squares / image.length);
  });
  return norms.reduce((sum, norm) => sum + norm, 0) / norms.length;
}

/** Values over and over. */
export function repeat(values: Float32Array, times: number): Float32Array {
  const all = new Float32Array(values.length * times);
  for (let i = 0; i < times; i++) all.set(values, i * values.length);
  return all;
}
