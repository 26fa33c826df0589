import createPica from 'pica';
import type { Size } from '#protocol/job.ts';
import type { Planes } from './tiles.ts';

/** Pixels with four channels, row by row. */
export interface Pixels extends Size {
  data: Uint8ClampedArray<ArrayBuffer>;
}

/** Red, green and blue from `lowest` to 1, plane after plane. */
export function pixelsToPlanes({ width, height, data }: Pixels, lowest: 0 | -1): Planes {
  const area = width * height;
  const planes = new Float32Array(3 * area);
  for (let i = 0; i < area; i++) {
    for (let channel = 0; channel < 3; channel++) {
      planes[channel * area + i] = ((data[i * 4 + channel] ?? 0) / 255) * (1 - lowest) + lowest;
    }
  }
  return { channels: 3, height, width, data: planes };
}

/** The name in infotexts of what {@link resizeToCover} does. */
export const RESIZE_METHOD = 'Lanczos';

// Its own workers would need blob: scripts, which the policy forbids; this already is a worker.
const pica = createPica({ features: ['js', 'wasm'] });

/** Scales an image to cover a size exactly, by Lanczos; what an uneven aspect leaves over is cut on both sides. */
export async function resizeToCover(pixels: Pixels, size: Size): Promise<Pixels> {
  const { width, height } = pixels;
  const scale = Math.max(size.width / width, size.height / height);
  const source = crop(pixels, {
    width: Math.min(width, Math.round(size.width / scale)),
    height: Math.min(height, Math.round(size.height / scale)),
  });
  return stretch(source, size);
}

/** Scales an image to a size whatever its aspect. */
export async function stretch(
  pixels: Pixels,
  size: Size,
  filter: 'lanczos2' | 'lanczos3' = 'lanczos3',
): Promise<Pixels> {
  const { width, height } = pixels;
  if (width === size.width && height === size.height) return pixels;
  const data = await pica.resizeBuffer({
    src: new Uint8Array(pixels.data.buffer, pixels.data.byteOffset, pixels.data.byteLength),
    width,
    height,
    toWidth: size.width,
    toHeight: size.height,
    filter,
  });
  return { width: size.width, height: size.height, data: new Uint8ClampedArray(data) };
}

/** Scales an image to a size without making new colours: each pixel takes that of the place under its middle. */
export function nearest(pixels: Pixels, { width, height }: Size): Pixels {
  const [from, to] = [
    new Uint32Array(pixels.data.buffer, pixels.data.byteOffset),
    new Uint32Array(width * height),
  ];
  const columns = Uint32Array.from({ length: width }, (_, x) =>
    Math.floor(((x + 0.5) * pixels.width) / width),
  );
  for (let y = 0; y < height; y++) {
    const row = Math.floor(((y + 0.5) * pixels.height) / height) * pixels.width;
    for (let x = 0; x < width; x++) to[y * width + x] = from[row + (columns[x] ?? 0)] ?? 0;
  }
  return { width, height, data: new Uint8ClampedArray(to.buffer) };
}

/**
 * Scales an image to fit inside a size; what an uneven aspect leaves open has the median colour of the image's border.
 * Source: A1111's ControlNet extension, scripts/controlnet.py (`Resize and Fill`).
 */
export async function placeInside(pixels: Pixels, size: Size): Promise<Pixels> {
  const scale = Math.min(size.width / pixels.width, size.height / pixels.height);
  const inner = await stretch(pixels, {
    width: Math.max(1, Math.round(pixels.width * scale)),
    height: Math.max(1, Math.round(pixels.height * scale)),
  });
  const colour = borderColour(pixels);
  const data = new Uint8ClampedArray(size.width * size.height * 4);
  for (let i = 0; i < data.length; i += 4) data.set(colour, i);
  const left = (size.width - inner.width) >> 1;
  const top = (size.height - inner.height) >> 1;
  for (let y = 0; y < inner.height; y++) {
    const from = y * inner.width * 4;
    const row = inner.data.subarray(from, from + inner.width * 4);
    data.set(row, ((y + top) * size.width + left) * 4);
  }
  return { width: size.width, height: size.height, data };
}

/** The median of each channel over the four borders. */
function borderColour({ width, height, data }: Pixels): number[] {
  const columns = Array.from({ length: width }, (_, x) => [x, (height - 1) * width + x]);
  const rows = Array.from({ length: height }, (_, y) => [y * width, y * width + width - 1]);
  const border = [...columns, ...rows].flat();
  return [0, 1, 2, 3].map((channel) => {
    const values = Uint8Array.from(border, (pixel) => data[pixel * 4 + channel] ?? 0).sort();
    return values[values.length >> 1] ?? 0;
  });
}

/** The middle of an image. */
export function crop(pixels: Pixels, { width, height }: Size): Pixels {
  if (width === pixels.width && height === pixels.height) return pixels;
  const left = (pixels.width - width) >> 1;
  const top = (pixels.height - height) >> 1;
  const data = new Uint8ClampedArray(width * height * 4);
  for (let y = 0; y < height; y++) {
    const from = ((y + top) * pixels.width + left) * 4;
    data.set(pixels.data.subarray(from, from + width * 4), y * width * 4);
  }
  return { width, height, data };
}
