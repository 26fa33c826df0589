import type { Size } from '#protocol/job.ts';
import { createFloatPixels, createPixels, type FloatPixels, type Pixels } from '#imaging/pixels.ts';
import { roundHalfToEven } from '#imaging/round.ts';
import { areaTaps, cubicTaps, linearTaps, type Taps } from './resize-taps.ts';

const { fround } = Math;

/**
 * `cv2.resize` with INTER_NEAREST. This and the others: OpenCV `modules/imgproc/src/resize.cpp`; equal to its 8-bit
 * results but for rounding of halves by its vector units.
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
  const row = toFixedPoint(linearTaps(pixels.width, width, { betweenAreas: true }));
  const column = toFixedPoint(linearTaps(pixels.height, height, { betweenAreas: true }));
  const rows = resampleRows(pixels, row);
  const resized = createPixels(size, pixels.channels);
  const samples = width * pixels.channels;
  for (let y = 0; y < height; y++) {
    for (let i = 0; i < samples; i++) {
      let sum = 2;
      for (const [source, weight] of column[y] ?? [])
        sum += (weight * ((rows.data[source * samples + i] ?? 0) >> 4)) >> 16;
      resized.data[y * samples + i] = sum >> 2;
    }
  }
  return resized;
}

function toFixedPoint(taps: Taps): Taps {
  return taps.map((weights) =>
    weights.map(([source, weight]) => [source, roundHalfToEven(weight * FIXED_POINT)] as const),
  );
}

/** Resamples each row. */
function resampleRows(pixels: Pixels | FloatPixels, taps: Taps): FloatPixels {
  const { width, height, channels, data } = pixels;
  const resampled = createFloatPixels({ width: taps.length, height }, channels);
  const rowLength = taps.length * channels;
  for (const [x, weights] of taps.entries()) {
    for (let y = 0; y < height; y++) {
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        for (const [source, weight] of weights)
          sum = fround(sum + fround((data[(y * width + source) * channels + channel] ?? 0) * weight));
        resampled.data[y * rowLength + x * channels + channel] = sum;
      }
    }
  }
  return resampled;
}

/** Resamples each column. */
function resampleColumns({ width, channels, data }: FloatPixels, taps: Taps): FloatPixels {
  const resampled = createFloatPixels({ width, height: taps.length }, channels);
  const rowLength = width * channels;
  for (const [y, weights] of taps.entries()) {
    for (let i = 0; i < rowLength; i++) {
      let sum = 0;
      for (const [source, weight] of weights)
        sum = fround(sum + fround((data[source * rowLength + i] ?? 0) * weight));
      resampled.data[y * rowLength + i] = sum;
    }
  }
  return resampled;
}

/** Samples rounded to 8 bits, halves to even. */
function toPixels({ width, height, channels, data }: FloatPixels): Pixels {
  return { width, height, channels, data: Uint8ClampedArray.from(data) };
}
