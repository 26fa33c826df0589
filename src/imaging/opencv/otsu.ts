import { mapSamples, type Pixels } from '#imaging/pixels.ts';

/**
 * `cv2.threshold` with THRESH_BINARY | THRESH_OTSU: a mask of 0 and 255, 255 for what is above the threshold that keeps
 * the two sides' means furthest apart. Source: Otsu 1979; OpenCV `modules/imgproc/src/thresh.cpp`.
 */
export function binariseByOtsu(grey: Pixels): Pixels {
  const threshold = otsuThreshold(grey.data);
  return mapSamples(grey, (sample) => (sample > threshold ? 255 : 0));
}

/** Fractions this close to 0 or 1 do not count as a class. */
const NO_SIDE = 2 ** -23;

function otsuThreshold(samples: Uint8ClampedArray): number {
  const histogram = new Array<number>(256).fill(0);
  for (const sample of samples) histogram[sample] = (histogram[sample] ?? 0) + 1;
  const mean = histogram.reduce((sum, count, value) => sum + value * count, 0) / samples.length;
  let darkShare = 0;
  let darkMean = 0;
  let largest = 0;
  let threshold = 0;
  for (const [value, count] of histogram.entries()) {
    const share = count / samples.length;
    darkMean *= darkShare;
    darkShare += share;
    const lightShare = 1 - darkShare;
    if (Math.min(darkShare, lightShare) < NO_SIDE || Math.max(darkShare, lightShare) > 1 - NO_SIDE) continue;
    darkMean = (darkMean + value * share) / darkShare;
    const lightMean = (mean - darkShare * darkMean) / lightShare;
    const betweenSides = darkShare * lightShare * (darkMean - lightMean) ** 2;
    if (betweenSides > largest) {
      largest = betweenSides;
      threshold = value;
    }
  }
  return threshold;
}
