import { createPixels, type Pixels } from '#imaging/pixels.ts';

/** The neighbours a filter looks at: steps to the right and down from the pixel. */
export type Neighbourhood = readonly (readonly [dx: number, dy: number])[];

/**
 * `cv2.dilate` with squares of 3 × 3, `times` times: each sample becomes the largest one as near as that. What is outside
 * the image does not count.
 */
export function dilate(pixels: Pixels, times = 1): Pixels {
  return extremeNear(pixels, times, 1);
}

/** `cv2.erode` with squares of 3 × 3, `times` times: each sample becomes the smallest one as near as that. */
export function erode(pixels: Pixels, times = 1): Pixels {
  return extremeNear(pixels, times, -1);
}

/** `cv2.dilate` of a grey image with any kernel. */
export function dilateBy({ width, height, data }: Pixels, neighbours: Neighbourhood): Pixels {
  const result = createPixels({ width, height }, 1);
  for (let i = 0; i < data.length; i++) {
    const x = i % width;
    const y = (i - x) / width;
    let best = 0;
    for (const [dx, dy] of neighbours) {
      if (x + dx < 0 || x + dx >= width || y + dy < 0 || y + dy >= height) continue;
      best = Math.max(best, data[i + dy * width + dx] ?? 0);
    }
    result.data[i] = best;
  }
  return result;
}

/** The extreme of the square around each sample: along the rows, then along the columns. */
function extremeNear(pixels: Pixels, radius: number, sign: 1 | -1): Pixels {
  const { width, height, channels } = pixels;
  const rows = extremeOfLines(pixels.data, { length: width, step: channels, radius, sign });
  const data = extremeOfLines(rows, { length: height, step: width * channels, radius, sign });
  return { width, height, channels, data };
}

function extremeOfLines(
  samples: Uint8ClampedArray,
  { length, step, radius, sign }: { length: number; step: number; radius: number; sign: 1 | -1 },
): Uint8ClampedArray<ArrayBuffer> {
  const result = new Uint8ClampedArray(samples);
  for (let distance = 1; distance <= Math.min(radius, length - 1); distance++) {
    const offset = distance * step;
    for (let i = 0; i < samples.length; i++) {
      const position = Math.floor(i / step) % length;
      const own = result[i] ?? 0;
      const before = position >= distance ? (samples[i - offset] ?? 0) : own;
      const after = position + distance < length ? (samples[i + offset] ?? 0) : own;
      result[i] = sign * Math.max(sign * own, sign * before, sign * after);
    }
  }
  return result;
}
