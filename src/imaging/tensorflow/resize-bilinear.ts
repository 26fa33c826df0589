import type { Pixels } from '#imaging/pixels.ts';
import { createPlanes, type Planes } from '#imaging/planes.ts';
import type { Size } from '#protocol/job.ts';

/**
 * TensorFlow's `resizeBilinear` with `alignCorners`: the outermost samples stay where they are, and those between are of the
 * nearest two, also where the image gets smaller. Source: tfjs-backend-cpu, src/kernels/ResizeBilinear.ts.
 * @param pixels RGB
 * @returns the three channels in 0 … 1
 */
export function resizeBilinearAligned(pixels: Pixels, { width, height }: Size): Planes {
  const resized = createPlanes({ channels: 3, height, width });
  const across = tapsOf(pixels.width, width);
  const down = tapsOf(pixels.height, height);
  const sample = (x: number, y: number, channel: number) =>
    pixels.data[(y * pixels.width + x) * pixels.channels + channel] ?? 0;
  for (let i = 0; i < resized.data.length; i++) {
    const [x, y] = [across[i % width], down[Math.floor(i / width) % height]];
    const channel = Math.floor(i / (width * height));
    if (!x || !y) continue;
    const above = mix(sample(x.cell, y.cell, channel), sample(x.next, y.cell, channel), x.share);
    const below = mix(sample(x.cell, y.next, channel), sample(x.next, y.next, channel), x.share);
    resized.data[i] = mix(above, below, y.share) / 255;
  }
  return resized;
}

function tapsOf(source: number, target: number): { cell: number; next: number; share: number }[] {
  const scale = target > 1 ? (source - 1) / (target - 1) : source / target;
  return Array.from({ length: target }, (_, index) => {
    const place = index * scale;
    const cell = Math.floor(place);
    return { cell, next: Math.min(Math.ceil(place), source - 1), share: place - cell };
  });
}

function mix(a: number, b: number, share: number): number {
  return a + (b - a) * share;
}
