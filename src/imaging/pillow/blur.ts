import { createPixels, type Pixels } from '#imaging/pixels.ts';

/**
 * Pillow's Gaussian blur: three box blurs with fractional radius across, then three down, each rounded to 8 bits.
 * Channels are blurred one by one: premultiply colours with alpha first.
 * Source: Pillow src/libImaging/BoxBlur.c, after Gwosdek et al. 2011.
 * @param radius standard deviation in pixels
 */
export function gaussianBlur(pixels: Pixels, radius: number): Pixels {
  return boxBlur(pixels, gaussianBoxRadius(radius, PASSES), PASSES);
}

const PASSES = 3;
const { fround } = Math;

/** Radius of the boxes that together come near a Gaussian of a standard deviation. */
function gaussianBoxRadius(deviation: number, passes: number): number {
  const variance = fround(fround(fround(deviation) * fround(deviation)) / passes);
  const length = fround(Math.sqrt(12 * variance + 1));
  const whole = fround(Math.floor((length - 1) / 2));
  const fraction = fround(fround(2 * whole + 1) * fround(whole * (whole + 1) - fround(3 * variance)));
  const divisor = fround(6 * fround(variance - fround((whole + 1) * (whole + 1))));
  return fround(whole + fround(fraction / divisor));
}

/**
 * Box blurs of the rows, then of the columns, with the edge repeated outside; the samples just outside of a box count by
 * the radius's fraction. Pillow's `BoxBlur`, in its fixed point of 24 bits.
 */
export function boxBlur(pixels: Pixels, radius: number, passes = 1): Pixels {
  if (radius === 0) return pixels;
  const weights = boxWeights(radius);
  let blurred = pixels;
  for (let pass = 0; pass < passes; pass++) blurred = blurRows(blurred, weights);
  for (let pass = 0; pass < passes; pass++) blurred = blurColumns(blurred, weights);
  return blurred;
}

/** Whole part of a box's radius; weights, in units of 2^−24, of a sample inside and of the two just outside. */
interface BoxWeights {
  radius: number;
  inner: number;
  outer: number;
}

const ONE = 2 ** 24;

function boxWeights(floatRadius: number): BoxWeights {
  const radius = Math.trunc(floatRadius);
  const inner = Math.trunc(fround(ONE / fround(fround(floatRadius * 2) + 1)));
  return { radius, inner, outer: Math.trunc((ONE - (radius * 2 + 1) * inner) / 2) };
}

function blurRows({ width, height, channels, data }: Pixels, { radius, inner, outer }: BoxWeights): Pixels {
  const blurred = createPixels({ width, height }, channels);
  const places = placesWithEdge(width, radius + 1, channels);
  for (let line = 0; line < height * channels; line++) {
    const start = Math.floor(line / channels) * width * channels + (line % channels);
    let sum = 0;
    for (let x = 1; x <= 2 * radius + 1; x++) sum += data[start + (places[x] ?? 0)] ?? 0;
    for (let x = 0; x < width; x++) {
      const before = data[start + (places[x] ?? 0)] ?? 0;
      const first = data[start + (places[x + 1] ?? 0)] ?? 0;
      const after = data[start + (places[x + 2 * radius + 2] ?? 0)] ?? 0;
      blurred.data[start + x * channels] = Math.floor(
        (sum * inner + (before + after) * outer + ONE / 2) / ONE,
      );
      sum += after - first;
    }
  }
  return blurred;
}

function blurColumns(
  { width, height, channels, data }: Pixels,
  { radius, inner, outer }: BoxWeights,
): Pixels {
  const blurred = createPixels({ width, height }, channels);
  const rowLength = width * channels;
  const places = placesWithEdge(height, radius + 1, rowLength);
  // The sums of all columns side by side: memory is read in its order.
  const sums = new Int32Array(rowLength);
  for (let y = 1; y <= 2 * radius + 1; y++) {
    const row = places[y] ?? 0;
    for (let i = 0; i < rowLength; i++) sums[i] = (sums[i] ?? 0) + (data[row + i] ?? 0);
  }
  for (let y = 0; y < height; y++) {
    const [before = 0, first = 0] = places.subarray(y, y + 2);
    const after = places[y + 2 * radius + 2] ?? 0;
    for (let i = 0; i < rowLength; i++) {
      const sum = sums[i] ?? 0;
      const next = data[after + i] ?? 0;
      const outside = (data[before + i] ?? 0) + next;
      blurred.data[y * rowLength + i] = Math.floor((sum * inner + outside * outer + ONE / 2) / ONE);
      sums[i] = sum + next - (data[first + i] ?? 0);
    }
  }
  return blurred;
}

/** Where samples −margin … length − 1 + margin of a line lie, the edge repeated outside. */
function placesWithEdge(length: number, margin: number, step: number): Int32Array {
  const inside = (position: number) => Math.min(Math.max(position, 0), length - 1);
  return Int32Array.from({ length: length + 2 * margin }, (_, i) => inside(i - margin) * step);
}
