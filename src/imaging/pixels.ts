import type { Size } from '#protocol/job.ts';

/** Grey, RGB or RGBA. */
export type Channels = 1 | 3 | 4;

/** An image: samples of 8 bits, pixel after pixel, in rows from the top. Alpha is not premultiplied. */
export interface Pixels extends Size {
  channels: Channels;
  data: Uint8ClampedArray<ArrayBuffer>;
}

/** The same with samples in float32, as the references' arithmetic has them between two steps. */
export interface FloatPixels extends Size {
  channels: Channels;
  data: Float32Array<ArrayBuffer>;
}

/** A region of an image in pixels: from `x1`, `y1` to `x2`, `y2`, which are outside. */
export interface Region {
  x1: number;
  y1: number;
  x2: number;
  y2: number;
}

/** A black image (transparent, with alpha), or one where every sample is `value`. */
export function createPixels({ width, height }: Size, channels: Channels, value = 0): Pixels {
  const data = new Uint8ClampedArray(width * height * channels);
  return { width, height, channels, data: value === 0 ? data : data.fill(value) };
}

/** A float32 image of zeros. */
export function createFloatPixels({ width, height }: Size, channels: Channels): FloatPixels {
  return { width, height, channels, data: new Float32Array(width * height * channels) };
}

/** The image with every sample changed. Results are rounded, halves to even, and clamped to 0…255. */
export function mapSamples(pixels: Pixels, change: (sample: number) => number): Pixels {
  return { ...pixels, data: pixels.data.map(change) };
}

/** The samples as float32. */
export function toFloat(pixels: Pixels): FloatPixels {
  return { ...pixels, data: Float32Array.from(pixels.data) };
}

/** One channel as a grey image. */
export function channelOf({ width, height, channels, data }: Pixels, channel: number): Pixels {
  const plane = createPixels({ width, height }, 1);
  for (let i = 0; i < plane.data.length; i++) plane.data[i] = data[i * channels + channel] ?? 0;
  return plane;
}

/** Three equal channels from a grey image. */
export function greyToRgb({ width, height, data }: Pixels): Pixels {
  const rgb = createPixels({ width, height }, 3);
  for (let i = 0; i < rgb.data.length; i++) rgb.data[i] = data[Math.floor(i / 3)] ?? 0;
  return rgb;
}

/** BGR from RGB, or back. */
export function swapRedAndBlue(rgb: Pixels): Pixels {
  const { data } = rgb;
  return { ...rgb, data: data.map((_, i) => data[i + 2 - 2 * (i % 3)] ?? 0) };
}

/**
 * RGB from any image: grey is repeated, alpha is blended with white and the result truncated. The references' `HWC3`
 * (Fooocus `modules/util.py`, ControlNet `annotator/util.py`), in float32 as there.
 */
export function toRgbOnWhite(pixels: Pixels): Pixels {
  const { width, height, channels, data } = pixels;
  if (channels === 3) return pixels;
  if (channels === 1) return greyToRgb(pixels);
  const rgb = createPixels({ width, height }, 3);
  const { fround } = Math;
  for (let i = 0; i < width * height; i++) {
    const alpha = fround((data[i * 4 + 3] ?? 0) / 255);
    const white = fround(255 * fround(1 - alpha));
    for (let channel = 0; channel < 3; channel++) {
      const colour = fround((data[i * 4 + channel] ?? 0) * alpha);
      rgb.data[i * 3 + channel] = Math.trunc(fround(colour + white));
    }
  }
  return rgb;
}

/** A rectangle of an image. It must lie inside. */
export function cropPixels(pixels: Pixels, { x1, y1, x2, y2 }: Region): Pixels {
  const { width, channels, data } = pixels;
  const cropped = createPixels({ width: x2 - x1, height: y2 - y1 }, channels);
  for (let y = y1; y < y2; y++) {
    const row = data.subarray((y * width + x1) * channels, (y * width + x2) * channels);
    cropped.data.set(row, (y - y1) * cropped.width * channels);
  }
  return cropped;
}

/** How many pixels to add on each side. */
export interface Margins {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** The image with margins, where each new pixel repeats the nearest one of the old. */
export function padWithEdge(pixels: Pixels, { left, top, right, bottom }: Margins): Pixels {
  const { width, height, channels, data } = pixels;
  const padded = createPixels({ width: left + width + right, height: top + height + bottom }, channels);
  for (let y = 0; y < padded.height; y++) {
    const sourceY = Math.min(Math.max(y - top, 0), height - 1);
    const row = data.subarray(sourceY * width * channels, (sourceY + 1) * width * channels);
    const start = (y * padded.width + left) * channels;
    padded.data.set(row, start);
    for (let x = 1; x <= left; x++) padded.data.set(row.subarray(0, channels), start - x * channels);
    for (let x = 0; x < right; x++)
      padded.data.set(row.subarray(-channels), start + row.length + x * channels);
  }
  return padded;
}
