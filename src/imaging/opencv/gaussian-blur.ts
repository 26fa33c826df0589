import { createFloatPixels, createPixels, type FloatPixels, type Pixels } from '#imaging/pixels.ts';
import { roundHalfToEven } from '#imaging/round.ts';
import { convolve } from './convolve.ts';

/** What one whole is in the 8-bit kernel. */
const WHOLE = 256;

/** Widths of a blur's kernel in pixels, odd, and its standard deviations. */
export interface GaussianKernel {
  width: number;
  height: number;
  sigmaX: number;
  sigmaY: number;
}

/** The square kernel OpenCV takes for a standard deviation when it is given no size. */
export function kernelOfSigma(sigma: number, samples: '8-bit' | 'float32'): GaussianKernel {
  const size = roundHalfToEven(sigma * (samples === '8-bit' ? 3 : 4) * 2 + 1) | 1;
  return { width: size, height: size, sigmaX: sigma, sigmaY: sigma };
}

/**
 * `cv2.GaussianBlur` of an 8-bit image, to the bit: the kernel is made of 256ths whose rounding errors are carried on to
 * the next weight, the result is rounded once, and the border is reflected without the edge (BORDER_REFLECT_101).
 * Source: OpenCV `modules/imgproc/src/smooth.dispatch.cpp`, `getGaussianKernelFixedPoint_ED`.
 */
export function gaussianBlur(pixels: Pixels, { width, height, sigmaX, sigmaY }: GaussianKernel): Pixels {
  const blurred = createPixels(pixels, pixels.channels);
  const rows = createFloatPixels(pixels, pixels.channels);
  convolve(pixels, rows.data, fixedPointKernel(width, sigmaX), 'rows');
  const sums = createFloatPixels(pixels, pixels.channels);
  convolve(rows, sums.data, fixedPointKernel(height, sigmaY), 'columns');
  for (let i = 0; i < sums.data.length; i++) {
    blurred.data[i] = Math.floor((sums.data[i] ?? 0) / WHOLE ** 2 + 0.5);
  }
  return blurred;
}

/** The kernel of a size, which is odd, with the standard deviation OpenCV takes when it is given none (`sigma = 0`). */
export function kernelOfSize(size: number): GaussianKernel {
  const sigma = 0.3 * ((size - 1) * 0.5 - 1) + 0.8;
  return { width: size, height: size, sigmaX: sigma, sigmaY: sigma };
}

/** `cv2.GaussianBlur` of a float32 image. */
export function gaussianBlurFloat(
  pixels: FloatPixels,
  { width, height, sigmaX, sigmaY }: GaussianKernel,
): FloatPixels {
  const weights = (size: number, sigma: number) => gaussianWeights(size, sigma).map(Math.fround);
  const rows = createFloatPixels(pixels, pixels.channels);
  convolve(pixels, rows.data, weights(width, sigmaX), 'rows');
  const blurred = createFloatPixels(pixels, pixels.channels);
  convolve(rows, blurred.data, weights(height, sigmaY), 'columns');
  return blurred;
}

/** Weights that add up to 1. */
function gaussianWeights(size: number, sigma: number): number[] {
  const weights = Array.from({ length: size }, (_, i) => {
    const twice = 2 * i - (size - 1);
    return Math.exp((-0.125 / (sigma * sigma)) * twice * twice);
  });
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/** The weights as whole 256ths that add up to 256. */
function fixedPointKernel(size: number, sigma: number): number[] {
  const exact = gaussianWeights(size, sigma);
  const centre = (size - 1) / 2;
  const kernel = new Array<number>(size).fill(0);
  let error = 0;
  let sum = 0;
  for (let i = 0; i < centre; i++) {
    const wanted = (exact[i] ?? 0) * WHOLE + error;
    const weight = roundHalfToEven(wanted);
    error = wanted - weight;
    kernel[i] = weight;
    kernel[size - 1 - i] = weight;
    sum += 2 * weight;
  }
  kernel[centre] = WHOLE - sum;
  return kernel;
}
