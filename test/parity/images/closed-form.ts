import type { LatentSize } from '#engine/random/latent-noise.ts';
import { createPlanes, type Planes } from '#imaging/planes.ts';

/** The networks of the A1111 references, in closed form. */
const ENCODER = [
  [0.5, 0.3, 0.2],
  [-0.4, 0.6, -0.1],
  [0.3, -0.5, 0.4],
  [0.2, 0.2, -0.7],
] as const;
const OFFSETS = [0.1, -0.2, 0.05, 0] as const;
const DECODER = [
  [0.6, -0.3, 0.2, 0.1],
  [0.4, 0.5, -0.3, 0.2],
  [0.3, -0.1, 0.4, -0.6],
] as const;

/** Latents of RGB in −1…1: a linear function of the mean of each 8×8 block. */
export function encode({ width, height, data }: Planes): Planes {
  const [columns, rows] = [Math.floor(width / 8), Math.floor(height / 8)];
  const latents = createPlanes({ channels: 4, height: rows, width: columns });
  for (let cell = 0; cell < rows * columns; cell++) {
    const [top, left] = [Math.floor(cell / columns) * 8, (cell % columns) * 8];
    const mean = [0, 1, 2].map((channel) => {
      let sum = 0;
      for (let i = 0; i < 64; i++) {
        sum += data[(channel * height + top + (i >> 3)) * width + left + (i & 7)] ?? 0;
      }
      return sum / 64;
    });
    ENCODER.forEach((weights, channel) => {
      const value = weights.reduce<number>(
        (sum, weight, i) => sum + weight * (mean[i] ?? 0),
        OFFSETS[channel] ?? 0,
      );
      latents.data[channel * rows * columns + cell] = value;
    });
  }
  return latents;
}

/** RGB in −1…1 of latents: every cell becomes 8×8 equal pixels. */
export function decode({ width, height, data }: Planes): Planes {
  const image = createPlanes({ channels: 3, height: height * 8, width: width * 8 });
  const cells = width * height;
  for (let y = 0; y < image.height; y++) {
    for (let x = 0; x < image.width; x++) {
      const cell = (y >> 3) * width + (x >> 3);
      DECODER.forEach((weights, channel) => {
        const value = weights.reduce<number>(
          (sum, weight, i) => sum + weight * (data[i * cells + cell] ?? 0),
          0,
        );
        image.data[(channel * image.height + y) * image.width + x] = value;
      });
    }
  }
  return image;
}

/** What img2img's sampler makes of latents and noise. */
export function sampleImg2img(latents: Float32Array, noise: Float32Array): Float32Array {
  return latents.map((value, i) => 0.6 * value + 0.4 * (noise[i] ?? 0));
}

/** The latents of one image of a batch. */
export function imageOf(batch: Float32Array, index: number, [channels, height, width]: LatentSize): Planes {
  const length = channels * height * width;
  return { channels, height, width, data: batch.slice(index * length, (index + 1) * length) };
}
