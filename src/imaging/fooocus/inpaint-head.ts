import { createPlanes, type Planes } from '#imaging/planes.ts';

/** The convolution of Fooocus' inpainting: `[out, in, 3, 3]`, outermost first. */
export interface InpaintHead {
  outputs: number;
  inputs: number;
  weights: Float32Array;
}

const SIDE = 3;

/**
 * What Fooocus adds to the UNet's first layer, of mask and latents: a convolution of 3 × 3 without bias, whose borders are
 * repeated. Source: Fooocus, modules/inpaint_worker.py, `InpaintHead`.
 * @param mask one plane: 1 where cells are generated, else 0
 * @param latents of the image with the masked part in grey, at the scale of the UNet
 * @returns as large as the latents, with as many planes as the head has outputs
 */
export function inpaintFeature(
  { outputs, inputs, weights }: InpaintHead,
  mask: Float32Array,
  { height, width, data: latents }: Planes,
): Planes {
  const area = height * width;
  const feature = createPlanes({ channels: outputs, height, width });
  for (let input = 0; input < inputs; input++) {
    const plane = input === 0 ? mask : latents.subarray((input - 1) * area, input * area);
    for (let tap = 0; tap < SIDE * SIDE; tap++) {
      const moved = shifted(plane, { height, width }, Math.floor(tap / SIDE) - 1, (tap % SIDE) - 1);
      for (let output = 0; output < outputs; output++) {
        const weight = weights[(output * inputs + input) * SIDE * SIDE + tap] ?? 0;
        const to = feature.data.subarray(output * area, (output + 1) * area);
        for (let i = 0; i < area; i++) to[i] = (to[i] ?? 0) + weight * (moved[i] ?? 0);
      }
    }
  }
  return feature;
}

/** A plane read so many rows further down and columns further right; what is beyond its borders is as they are. */
function shifted(
  plane: Float32Array,
  { height, width }: Pick<Planes, 'height' | 'width'>,
  rows: number,
  columns: number,
): Float32Array {
  const inside = (at: number, size: number) => Math.min(Math.max(at, 0), size - 1);
  return plane.map((_, i) => {
    const x = i % width;
    const y = (i - x) / width;
    return plane[inside(y + rows, height) * width + inside(x + columns, width)] ?? 0;
  });
}
