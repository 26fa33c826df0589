import type { NoiseSpec, ImageSpec } from '#protocol/job.ts';
import type { NormalGenerator } from './normal-generator.ts';
import { createPhiloxGenerator } from './philox.ts';
import { createTorchCpuGenerator } from './torch-cpu.ts';

/** The noise of one batch, image after image. */
export interface NoiseStream {
  /** What the run starts from. Call it once, before {@link NoiseStream.next}. */
  first(): Float32Array;
  /** The sampler's next draw. */
  next(): Float32Array;
}

/** A generator of each source by its seed. */
export const noiseGenerators: Readonly<Record<NoiseSpec['source'], (seed: bigint) => NormalGenerator>> = {
  'torch-cpu': createTorchCpuGenerator,
  philox: createPhiloxGenerator,
};

/** Channels, height and width of one image's latents. */
export type LatentSize = readonly [channels: number, height: number, width: number];

/**
 * Noise as A1111 makes it (modules/rng.py, ImageRNG). Every image draws from generators of its own, so its
 * noise does not depend on the batch it is in; with diffusers that is the case of one generator per image.
 * @param size of one image's latents, in cells
 * @param downscale pixels per latent cell, for {@link NoiseSpec.resizeFrom}
 */
export function createNoiseStream(
  spec: NoiseSpec,
  images: readonly Pick<ImageSpec, 'seed' | 'subseed'>[],
  size: LatentSize,
  downscale: number,
): NoiseStream {
  const length = size[0] * size[1] * size[2];
  const create = noiseGenerators[spec.source];
  let generators = images.map(({ seed }) => create(seed));

  const drawn: LatentSize = spec.resizeFrom
    ? [size[0], Math.floor(spec.resizeFrom.height / downscale), Math.floor(spec.resizeFrom.width / downscale)]
    : size;
  const resized = drawn[1] !== size[1] || drawn[2] !== size[2];

  const firstOf = ({ seed, subseed }: Pick<ImageSpec, 'seed' | 'subseed'>, generator: NormalGenerator) => {
    // Noise of another size has its own generator; the image's generator then fills the frame.
    const source = resized ? create(seed) : generator;
    const own = source.randn(drawn[0] * drawn[1] * drawn[2]);
    const noise =
      spec.subseedStrength === 0
        ? own
        : slerp(spec.subseedStrength, own, create(subseed).randn(own.length), drawn);
    return resized ? placeCentred(noise, drawn, generator.randn(length), size) : noise;
  };

  return {
    first() {
      const noise = joinImages(
        generators.map((generator, i) => firstOf(images[i] ?? { seed: 0n, subseed: 0n }, generator)),
        length,
      );
      const delta = BigInt(spec.etaNoiseSeedDelta);
      if (delta !== 0n) generators = images.map(({ seed }) => create(seed + delta));
      return noise;
    },
    next: () =>
      joinImages(
        generators.map((generator) => generator.randn(length)),
        length,
      ),
  };
}

function joinImages(images: readonly Float32Array[], length: number): Float32Array {
  const batch = new Float32Array(images.length * length);
  images.forEach((image, i) => {
    batch.set(image, i * length);
  });
  return batch;
}

/**
 * Goes from `low` (strength 0) to `high` (strength 1) on a great circle, for each column of each channel by
 * itself, as A1111's slerp does. Noises that are nearly the same are mixed linearly, the wrong way round as there.
 */
function slerp(strength: number, low: Float32Array, high: Float32Array, size: LatentSize): Float32Array {
  const [channels, height, width] = size;
  const columns = channels * width;
  const cosines = new Float64Array(columns);
  for (let column = 0; column < columns; column++) {
    const start = Math.floor(column / width) * height * width + (column % width);
    let dot = 0;
    let lowSquares = 0;
    let highSquares = 0;
    for (let y = 0, i = start; y < height; y++, i += width) {
      const a = low[i] ?? 0;
      const b = high[i] ?? 0;
      dot += a * b;
      lowSquares += a * a;
      highSquares += b * b;
    }
    cosines[column] = dot / Math.sqrt(lowSquares * highSquares);
  }
  const mean = cosines.reduce((sum, cosine) => sum + cosine, 0) / columns;
  if (mean > 0.9995) return low.map((value, i) => value * strength + (high[i] ?? 0) * (1 - strength));

  return low.map((value, i) => {
    const column = Math.floor(i / (height * width)) * width + (i % width);
    const angle = Math.acos(cosines[column] ?? 0);
    const sine = Math.sin(angle);
    return (
      (Math.sin((1 - strength) * angle) / sine) * value + (Math.sin(strength * angle) / sine) * (high[i] ?? 0)
    );
  });
}

/** Puts `inner` in the middle of `outer`, cropping what does not fit. Offsets are floored, as A1111's are. */
function placeCentred(
  inner: Float32Array,
  [channels, innerHeight, innerWidth]: LatentSize,
  outer: Float32Array,
  [, outerHeight, outerWidth]: LatentSize,
): Float32Array {
  const dx = Math.floor((outerWidth - innerWidth) / 2);
  const dy = Math.floor((outerHeight - innerHeight) / 2);
  const width = dx >= 0 ? innerWidth : innerWidth + 2 * dx;
  const height = dy >= 0 ? innerHeight : innerHeight + 2 * dy;
  for (let channel = 0; channel < channels; channel++) {
    for (let y = 0; y < height; y++) {
      const from = (channel * innerHeight + y + Math.max(-dy, 0)) * innerWidth + Math.max(-dx, 0);
      const to = (channel * outerHeight + y + Math.max(dy, 0)) * outerWidth + Math.max(dx, 0);
      outer.set(inner.subarray(from, from + width), to);
    }
  }
  return outer;
}
