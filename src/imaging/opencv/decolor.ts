import type { Size } from '#protocol/job.ts';
import { createPixels, swapRedAndBlue, type FloatPixels, type Pixels } from '#imaging/pixels.ts';
import { labOf } from './lab-float.ts';
import { labToRgb, rgbToLab } from './lab.ts';
import { resizeLinear } from './resize.ts';
import { solveLinear } from './solve-linear.ts';

/** Powers of red, green and blue in each term of the grey value: all of degree 1 and 2. */
const TERMS = [0, 1, 2].flatMap((red) =>
  [0, 1, 2].flatMap((green) =>
    [0, 1, 2]
      .map((blue) => [red, green, blue] as const)
      .filter(([r, g, b]) => r + g + b > 0 && r + g + b <= 2),
  ),
);

/** Largest half circumference that is not scaled down first, in pixels. */
const LARGEST = 800;
const MOST_ROUNDS = 16;
/** The least change of energy that asks for another round. */
const TOLERANCE = 1e-4;
/** Spread of the contrasts around those wanted. */
const SIGMA = 0.02;
/** All channels must grow (or shrink) by more than this for the grey value's direction to be certain. */
const CERTAIN = 0.05;

/** A grey image, and the image with its lightness replaced by it. */
export interface Decolored {
  grey: Pixels;
  boosted: Pixels;
}

/**
 * `cv2.decolor`: grey whose contrasts come near those of the colours. A polynomial of the channels is fitted to the
 * distances of neighbours in Lab, whose sign is free where the channels disagree. Source: Lu, Xu & Jia 2012; OpenCV
 * `modules/photo/src/contrast_preserve.cpp`.
 * @param pixels RGB; Fooocus hands RGB to OpenCV, which takes it for BGR, so the channels are swapped here too
 */
export function decolor(pixels: Pixels): Decolored {
  const swapped = swapRedAndBlue(pixels);
  const rgb = { ...swapped, data: Float32Array.from(swapped.data, (sample) => sample / 255) };
  const grey = applyTerms(rgb, fitWeights(shrinkToLookAt(rgb)));
  const lab = rgbToLab(swapped);
  grey.data.forEach((sample, i) => (lab.data[i * 3] = sample));
  return { grey, boosted: swapRedAndBlue(labToRgb(lab)) };
}

function shrinkToLookAt(rgb: FloatPixels): FloatPixels {
  const { width, height } = rgb;
  if (width + height <= LARGEST) return rgb;
  const shrink = (side: number) => Math.floor((side * LARGEST) / (width + height) + 0.5);
  return resizeLinear(rgb, { width: shrink(width), height: shrink(height) });
}

/** The terms' weights, from the gradients of the terms and the contrasts of the colours. */
function fitWeights(rgb: FloatPixels): number[] {
  const gradients = TERMS.map((term) => gradientsOf(rgb, termOf(rgb, term)));
  const contrasts = colourContrasts(rgb);
  const directions = certainDirections(rgb);
  const products = gradients.map((a) => gradients.map((b) => dot(a, b)));
  let weights: number[] = TERMS.map(([red, green, blue]) => (red + green + blue === 1 ? 0.33 : 0));
  let energy = 0;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const grey = combine(gradients, weights);
    const wanted = contrasts.map(
      (contrast, i) => contrast * signOf(grey[i] ?? 0, contrast, directions[i] ?? 0),
    );
    weights = solveLinear(
      products,
      gradients.map((gradient) => dot(gradient, wanted)),
    );
    const next = energyOf(combine(gradients, weights), contrasts);
    if (Math.abs(next - energy) <= TOLERANCE) break;
    energy = next;
  }
  return weights;
}

function termOf({ data }: FloatPixels, [red, green, blue]: readonly [number, number, number]): Float32Array {
  return Float32Array.from(
    { length: data.length / 3 },
    (_, i) => (data[i * 3] ?? 0) ** red * (data[i * 3 + 1] ?? 0) ** green * (data[i * 3 + 2] ?? 0) ** blue,
  );
}

/** Each pixel less its right neighbour, then less its lower one; 0 at the edge. */
function gradientsOf({ width, height }: Size, plane: Float32Array): Float32Array {
  const area = width * height;
  const gradients = new Float32Array(2 * area);
  for (let i = 0; i < area; i++) {
    const own = plane[i] ?? 0;
    if (i % width < width - 1) gradients[i] = own - (plane[i + 1] ?? 0);
    if (i + width < area) gradients[area + i] = own - (plane[i + width] ?? 0);
  }
  return gradients;
}

/** Distances of neighbours in Lab, a hundredth of them. */
function colourContrasts(rgb: FloatPixels): Float32Array {
  const area = rgb.width * rgb.height;
  const lab = [new Float32Array(area), new Float32Array(area), new Float32Array(area)];
  for (let i = 0; i < area; i++) {
    const [red = 0, green = 0, blue = 0] = rgb.data.subarray(i * 3, i * 3 + 3);
    for (const [axis, value] of labOf([red, green, blue]).entries()) (lab[axis] ?? [])[i] = value;
  }
  const [l, a, b] = lab.map((plane) => gradientsOf(rgb, plane));
  return Float32Array.from(
    { length: 2 * area },
    (_, i) => Math.hypot(l?.[i] ?? 0, a?.[i] ?? 0, b?.[i] ?? 0) / 100,
  );
}

/** 1 or −1 where all channels grow or shrink together, else 0. */
function certainDirections(rgb: FloatPixels): Float32Array {
  const [red, green, blue] = [0, 1, 2].map((channel) =>
    gradientsOf(
      rgb,
      rgb.data.filter((_, i) => i % 3 === channel),
    ),
  );
  return Float32Array.from(red ?? [], (value, i) => {
    const all = [value, green?.[i] ?? 0, blue?.[i] ?? 0];
    if (all.every((gradient) => gradient > CERTAIN)) return 1;
    return all.every((gradient) => gradient < -CERTAIN) ? -1 : 0;
  });
}

/** How likely the wanted contrast is positive rather than negative, from −1 to 1. */
function signOf(grey: number, contrast: number, direction: number): number {
  const likelihood = (distance: number) => Math.exp((-0.5 * distance ** 2) / SIGMA ** 2);
  const positive = ((1 + direction) / 2) * likelihood(grey - contrast);
  const negative = ((1 - direction) / 2) * likelihood(grey + contrast);
  return positive + negative === 0 ? 0 : (positive - negative) / (positive + negative);
}

function energyOf(grey: Float64Array, contrasts: Float32Array): number {
  const sum = grey.reduce((total, value, i) => {
    const contrast = contrasts[i] ?? 0;
    const near = Math.exp(-((value - contrast) ** 2) / SIGMA) + Math.exp(-((value + contrast) ** 2) / SIGMA);
    return total - Math.log(near);
  }, 0);
  return sum / grey.length;
}

function combine(gradients: readonly Float32Array[], weights: readonly number[]): Float64Array {
  const sum = new Float64Array(gradients[0]?.length ?? 0);
  for (const [term, gradient] of gradients.entries()) {
    const weight = weights[term] ?? 0;
    for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + (gradient[i] ?? 0) * weight;
  }
  return sum;
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}

/** The weighted terms of each pixel, spread over 0…255. */
function applyTerms(rgb: FloatPixels, weights: readonly number[]): Pixels {
  const grey = combine(
    TERMS.map((term) => termOf(rgb, term)),
    weights,
  );
  const least = grey.reduce((a, b) => Math.min(a, b), Infinity);
  const most = grey.reduce((a, b) => Math.max(a, b), -Infinity);
  const result = createPixels(rgb, 1);
  if (most > least) grey.forEach((value, i) => (result.data[i] = (255 * (value - least)) / (most - least)));
  return result;
}
