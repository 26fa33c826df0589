import type { Size } from '#protocol/job.ts';
import { createPixels, type Pixels, type Region } from '#imaging/pixels.ts';
import { premultiply, unpremultiply } from './alpha.ts';
import { PRECISION_BITS, resampleTaps, type PillowFilter, type ResampleTaps } from './filters.ts';

/**
 * Pillow's `Image.resize`, to the bit: first each row, then each column, both rounded to 8 bits; filters get wider when
 * the image gets smaller; alpha is multiplied in and taken out again. Source: Pillow src/libImaging/Resample.c.
 * @param filter `bicubic` is Pillow's default
 * @param box the part of the image that is resized, the whole by default; its sides may be fractions. One without height
 * or width gives what the filter sees at that edge: A1111 and Fooocus fill margins this way
 */
export function resize(
  pixels: Pixels,
  size: Size,
  filter: PillowFilter,
  box: Region = wholeOf(pixels),
): Pixels {
  if (pixels.channels !== 4) return resample(pixels, size, filter, box);
  const isSame = size.width === pixels.width && size.height === pixels.height && isWhole(pixels, box);
  return isSame ? pixels : unpremultiply(resample(premultiply(pixels), size, filter, box));
}

function wholeOf({ width, height }: Size): Region {
  return { x1: 0, y1: 0, x2: width, y2: height };
}

function isWhole({ width, height }: Size, { x1, y1, x2, y2 }: Region): boolean {
  return x1 === 0 && y1 === 0 && x2 === width && y2 === height;
}

function resample(pixels: Pixels, size: Size, filter: PillowFilter, box: Region): Pixels {
  const { width, height } = pixels;
  let resized = pixels;
  if (size.width !== width || box.x1 !== 0 || box.x2 !== width) {
    resized = resampleRows(resized, resampleTaps(width, [box.x1, box.x2], size.width, filter));
  }
  if (size.height !== height || box.y1 !== 0 || box.y2 !== height) {
    resized = resampleColumns(resized, resampleTaps(height, [box.y1, box.y2], size.height, filter));
  }
  return resized;
}

const HALF = 2 ** (PRECISION_BITS - 1);
const WHOLE = 2 ** PRECISION_BITS;

function resampleRows({ width, height, channels, data }: Pixels, taps: ResampleTaps): Pixels {
  const { from, count, weights, stride } = taps;
  const resampled = createPixels({ width: from.length, height }, channels);
  for (let x = 0; x < from.length; x++) {
    for (let y = 0; y < height; y++) {
      const source = (y * width + (from[x] ?? 0)) * channels;
      const target = (y * from.length + x) * channels;
      for (let channel = 0; channel < channels; channel++) {
        let sum = HALF;
        for (let tap = 0; tap < (count[x] ?? 0); tap++)
          sum += (data[source + tap * channels + channel] ?? 0) * (weights[x * stride + tap] ?? 0);
        resampled.data[target + channel] = Math.floor(sum / WHOLE);
      }
    }
  }
  return resampled;
}

function resampleColumns({ width, channels, data }: Pixels, taps: ResampleTaps): Pixels {
  const { from, count, weights, stride } = taps;
  const resampled = createPixels({ width, height: from.length }, channels);
  const rowLength = width * channels;
  for (let y = 0; y < from.length; y++) {
    const source = (from[y] ?? 0) * rowLength;
    for (let i = 0; i < rowLength; i++) {
      let sum = HALF;
      for (let tap = 0; tap < (count[y] ?? 0); tap++)
        sum += (data[source + tap * rowLength + i] ?? 0) * (weights[y * stride + tap] ?? 0);
      resampled.data[y * rowLength + i] = Math.floor(sum / WHOLE);
    }
  }
  return resampled;
}
