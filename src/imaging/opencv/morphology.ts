import { createPixels, type Pixels } from '#imaging/pixels.ts';

/** The neighbours a filter looks at: steps to the right and down from the pixel. */
export type Neighbourhood = readonly (readonly [dx: number, dy: number])[];

/** The pixel itself and the eight around it. */
export const SQUARE_3: Neighbourhood = [-1, 0, 1].flatMap((dy) => [-1, 0, 1].map((dx) => [dx, dy] as const));

/** `cv2.dilate`: each sample becomes the largest one near it. What is outside the image does not count. */
export function dilate(pixels: Pixels, neighbours: Neighbourhood = SQUARE_3, times = 1): Pixels {
  return repeat(pixels, times, (image) => extreme(image, neighbours, Math.max, 0));
}

/** `cv2.erode`: each sample becomes the smallest one near it. What is outside the image does not count. */
export function erode(pixels: Pixels, neighbours: Neighbourhood = SQUARE_3, times = 1): Pixels {
  return repeat(pixels, times, (image) => extreme(image, neighbours, Math.min, 255));
}

function repeat(pixels: Pixels, times: number, filter: (pixels: Pixels) => Pixels): Pixels {
  let result = pixels;
  for (let i = 0; i < times; i++) result = filter(result);
  return result;
}

function extreme(
  { width, height, channels, data }: Pixels,
  neighbours: Neighbourhood,
  better: (a: number, b: number) => number,
  worst: number,
): Pixels {
  const result = createPixels({ width, height }, channels);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < channels; channel++) {
        let best = worst;
        for (const [dx, dy] of neighbours) {
          if (x + dx < 0 || x + dx >= width || y + dy < 0 || y + dy >= height) continue;
          best = better(best, data[((y + dy) * width + x + dx) * channels + channel] ?? 0);
        }
        result.data[(y * width + x) * channels + channel] = best;
      }
    }
  }
  return result;
}
