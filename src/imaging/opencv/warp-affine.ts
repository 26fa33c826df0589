import { createFloatPixels, type FloatPixels, type Pixels } from '#imaging/pixels.ts';
import { roundHalfToEven } from '#imaging/round.ts';
import type { Size } from '#protocol/job.ts';

/** The two rows of a matrix that places are multiplied by: x′ = m0·x + m1·y + m2, y′ = m3·x + m4·y + m5. */
export type AffineMatrix = readonly [number, number, number, number, number, number];

/** Places are counted in 1024ths of a pixel, and samples mixed by 32nds. */
const [PLACES, FRACTIONS] = [1024, 32];

/**
 * `cv2.warpAffine` with bilinear interpolation and a constant border.
 * Source: OpenCV 4, modules/imgproc/src/imgwarp.cpp, `WarpAffineInvoker` and `remapBilinear`.
 * @param toSource from places of the result to those of the image (`WARP_INVERSE_MAP`)
 * @param border the colour around the image, one number for each channel
 */
export function warpAffine(
  pixels: Pixels,
  toSource: AffineMatrix,
  size: Size,
  border: readonly number[],
): Pixels {
  const { data, ...facts } = warpAffineFloat(pixels, toSource, size, border);
  // Weights are whole 1024ths: sums are exact, and halves are rounded up as in the 8-bit kernel.
  return { ...facts, data: new Uint8ClampedArray(data.map((value) => Math.floor(value + 0.5))) };
}

/** The same without rounding the samples. */
export function warpAffineFloat(
  { width, height, channels, data }: Pixels | FloatPixels,
  [m0, m1, m2, m3, m4, m5]: AffineMatrix,
  size: Size,
  border: readonly number[],
): FloatPixels {
  const warped = createFloatPixels(size, channels);
  // Half a 32nd, so that cutting rounds.
  const half = PLACES / FRACTIONS / 2;
  const place = (value: number) => roundHalfToEven(value * PLACES);
  const step = PLACES / FRACTIONS;
  for (let y = 0; y < size.height; y++) {
    const rowX = place(m1 * y + m2) + half;
    const rowY = place(m4 * y + m5) + half;
    for (let x = 0; x < size.width; x++) {
      const sourceX = Math.floor((rowX + place(m0 * x)) / step);
      const sourceY = Math.floor((rowY + place(m3 * x)) / step);
      const [left, top] = [Math.floor(sourceX / FRACTIONS), Math.floor(sourceY / FRACTIONS)];
      const [right, down] = [sourceX / FRACTIONS - left, sourceY / FRACTIONS - top];
      for (let channel = 0; channel < channels; channel++) {
        const sample = (column: number, row: number): number =>
          column < 0 || row < 0 || column >= width || row >= height
            ? (border[channel] ?? 0)
            : (data[(row * width + column) * channels + channel] ?? 0);
        const above = sample(left, top) * (1 - right) + sample(left + 1, top) * right;
        const below = sample(left, top + 1) * (1 - right) + sample(left + 1, top + 1) * right;
        warped.data[(y * size.width + x) * channels + channel] = above * (1 - down) + below * down;
      }
    }
  }
  return warped;
}
