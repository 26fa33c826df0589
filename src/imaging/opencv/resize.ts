import type { Size } from '#protocol/job.ts';
import { createFloatPixels, createPixels, type FloatPixels, type Pixels } from '#imaging/pixels.ts';
import { roundHalfToEven } from '#imaging/round.ts';
import { areaTaps, cubicTaps, linearTaps, type Taps } from './resize-taps.ts';

const { fround } = Math;

/**
 * `cv2.resize` with INTER_NEAREST. This and the others: OpenCV `modules/imgproc/src/resize.cpp`; equal to its 8-bit
 * results except for the rounding of halves by its vector units.
 */
export function resizeNearest(pixels: Pixels, size: Size): Pixels {
  const { width, height, channels, data } = pixels;
  const resized = createPixels(size, channels);
  const sourceOf = (i: number, from: number, to: number) =>
    Math.min(Math.floor(i * (1 / (to / from))), from - 1);
  for (let y = 0; y < size.height; y++) {
    const row = sourceOf(y, height, size.height) * width;
    for (let x = 0; x < size.width; x++) {
      const source = (row + sourceOf(x, width, size.width)) * channels;
      resized.data.set(data.subarray(source, source + channels), (y * size.width + x) * channels);
    }
  }
  return resized;
}

/** `cv2.resize` with INTER_CUBIC: Keys' cubic with a = −0.75, no wider filter when the image gets smaller. */
export function resizeCubic(pixels: Pixels, size: Size): Pixels {
  if (pixels.width === size.width && pixels.height === size.height) return pixels;
  const rows = resampleRows(pixels, cubicTaps(pixels.width, size.width));
  return toPixels(resampleColumns(rows, cubicTaps(pixels.height, size.height)));
}

/**
 * `cv2.resize` with INTER_AREA: each pixel is the mean of the area it covers. Where one side grows, OpenCV
 * interpolates linearly between the two nearest pixels instead, on both sides.
 */
export function resizeArea(pixels: Pixels, size: Size): Pixels {
  const scaleX = pixels.width / size.width;
  const scaleY = pixels.height / size.height;
  if (scaleX === 1 && scaleY === 1) return pixels;
  if (scaleX < 1 || scaleY < 1) return resizeBetweenAreas(pixels, size);
  const sums = resampleColumns(
    resampleRows(pixels, areaTaps(pixels.width, size.width)),
    areaTaps(pixels.height, size.height),
  );
  // Here OpenCV rounds halves up, elsewhere to even.
  if (scaleX === 2 && scaleY === 2) sums.data.forEach((mean, i) => (sums.data[i] = Math.floor(mean + 0.5)));
  return toPixels(sums);
}

/** `cv2.resize` with INTER_LINEAR for float32. */
export function resizeLinear(pixels: FloatPixels, size: Size): FloatPixels {
  return resampleColumns(
    resampleRows(pixels, linearTaps(pixels.width, size.width)),
    linearTaps(pixels.height, size.height),
  );
}

/** One in fixed-point weights. */
const FIXED_POINT = 2048;

/** The linear kind of INTER_AREA in fixed point, with the bits that OpenCV drops on the way. */
function resizeBetweenAreas(pixels: Pixels, size: Size): Pixels {
  const { width, height } = size;
  const rows = resampleRows(pixels, toFixedPoint(linearTaps(pixels.width, width, { betweenAreas: true })));
  const taps = toFixedPoint(linearTaps(pixels.height, height, { betweenAreas: true }));
  const resized = createPixels(size, pixels.channels);
  const samples = width * pixels.channels;
  for (let i = 0; i < resized.data.length; i++) {
    const y = Math.floor(i / samples);
    let sum = 2;
    for (let tap = taps.starts[y] ?? 0; tap < (taps.starts[y + 1] ?? 0); tap++) {
      const sample = rows.data[(taps.sources[tap] ?? 0) * samples + (i % samples)] ?? 0;
      sum += ((taps.weights[tap] ?? 0) * (sample >> 4)) >> 16;
    }
    resized.data[i] = sum >> 2;
  }
  return resized;
}

function toFixedPoint(taps: Taps): Taps {
  return { ...taps, weights: taps.weights.map((weight) => roundHalfToEven(weight * FIXED_POINT)) };
}

/** Resamples each row. */
function resampleRows(
  { width, height, channels, data }: Pixels | FloatPixels,
  { starts, sources, weights }: Taps,
): FloatPixels {
  const newWidth = starts.length - 1;
  const resampled = createFloatPixels({ width: newWidth, height }, channels);
  for (let y = 0; y < height; y++) {
    const row = y * width * channels;
    for (let i = 0; i < newWidth * channels; i++) {
      const x = Math.floor(i / channels);
      const channel = row + i - x * channels;
      const end = starts[x + 1] ?? 0;
      let sum = 0;
      for (let tap = starts[x] ?? 0; tap < end; tap++)
        sum = fround(
          sum + fround((data[channel + (sources[tap] ?? 0) * channels] ?? 0) * (weights[tap] ?? 0)),
        );
      resampled.data[y * newWidth * channels + i] = sum;
    }
  }
  return resampled;
}

/** Resamples each column. */
function resampleColumns(
  { width, channels, data }: FloatPixels,
  { starts, sources, weights }: Taps,
): FloatPixels {
  const height = starts.length - 1;
  const resampled = createFloatPixels({ width, height }, channels);
  const rowLength = width * channels;
  for (let y = 0; y < height; y++) {
    const start = y * rowLength;
    const end = starts[y + 1] ?? 0;
    for (let tap = starts[y] ?? 0; tap < end; tap++) {
      const weight = weights[tap] ?? 0;
      const source = (sources[tap] ?? 0) * rowLength;
      for (let i = 0; i < rowLength; i++)
        resampled.data[start + i] =
          (resampled.data[start + i] ?? 0) + fround((data[source + i] ?? 0) * weight);
    }
  }
  return resampled;
}

/** Samples rounded to 8 bits, halves to even. */
function toPixels({ width, height, channels, data }: FloatPixels): Pixels {
  return { width, height, channels, data: Uint8ClampedArray.from(data) };
}
