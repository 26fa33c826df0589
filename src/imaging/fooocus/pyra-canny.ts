import { canny } from '#imaging/opencv/canny.ts';
import { resizeArea, resizeLinear } from '#imaging/opencv/resize.ts';
import { channelOf, createFloatPixels, type FloatPixels, type Pixels } from '#imaging/pixels.ts';
import { spreadPercentiles } from './normalise.ts';

/** Scales of the pyramid, from the smallest. */
const SCALES = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];

/**
 * Edges of each channel by itself: 0 and 255. Source: Fooocus extras/preprocessors.py, `centered_canny_color`, which
 * has 1 for 255.
 */
export function cannyOfChannels(rgb: Pixels, thresholds: readonly [number, number]): Pixels {
  const whole: readonly [number, number] = [Math.trunc(thresholds[0]), Math.trunc(thresholds[1])];
  const planes = [0, 1, 2].map((channel) => canny(channelOf(rgb, channel), whole));
  return { ...rgb, data: rgb.data.map((_, i) => planes[i % 3]?.data[Math.floor(i / 3)] ?? 0) };
}

/**
 * Fooocus's PyraCanny: edges of an image at nine scales, the largest counting most, added up over the channels; grey.
 * Source: Fooocus extras/preprocessors.py, `canny_pyramid`.
 * @param rgb what to find edges of
 * @param thresholds of Canny; Fooocus's defaults are 64 and 128
 */
export function pyraCanny(rgb: Pixels, thresholds: readonly [number, number]): Pixels {
  let edges: FloatPixels | undefined;
  for (const scale of SCALES) {
    const width = Math.max(Math.trunc(rgb.width * scale), 1);
    const height = Math.max(Math.trunc(rgb.height * scale), 1);
    const found = cannyOfChannels(resizeArea(rgb, { width, height }), thresholds);
    const before = edges && resizeLinear(edges, found).data;
    const data = Float32Array.from(found.data, (edge, i) =>
      before ? (before[i] ?? 0) * 0.75 + (edge / 255) * 0.25 : edge / 255,
    );
    edges = { ...found, data };
  }
  const sum = createFloatPixels(rgb, 1);
  edges?.data.forEach((edge, i) => (sum.data[Math.floor(i / 3)] = (sum.data[Math.floor(i / 3)] ?? 0) + edge));
  return spreadPercentiles(sum, 1, 99);
}
