import { canny } from '#imaging/opencv/canny.ts';
import { resizeArea, resizeLinear } from '#imaging/opencv/resize.ts';
import { channelOf, createFloatPixels, createPixels, type Pixels } from '#imaging/pixels.ts';
import { spreadPercentiles } from './normalise.ts';

/** Scales of the pyramid, from the smallest. */
const SCALES = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];

/**
 * Edges of each channel separately: 0 and 255. Source: Fooocus extras/preprocessors.py, `centered_canny_color`, which
 * has 1 for 255.
 */
export function cannyOfChannels(rgb: Pixels, thresholds: readonly [number, number]): Pixels {
  const whole: readonly [number, number] = [Math.trunc(thresholds[0]), Math.trunc(thresholds[1])];
  const edges = createPixels(rgb, 3);
  for (let channel = 0; channel < 3; channel++) {
    const { data } = canny(channelOf(rgb, channel), whole);
    for (let i = 0; i < data.length; i++) edges.data[i * 3 + channel] = data[i] ?? 0;
  }
  return edges;
}

/**
 * Fooocus's PyraCanny: edges of an image at nine scales, the largest counting most, added up over the channels; grey.
 * Source: Fooocus extras/preprocessors.py, `canny_pyramid`.
 * @param rgb what to find edges of
 * @param thresholds of Canny; Fooocus's defaults are 64 and 128
 */
export function pyraCanny(rgb: Pixels, thresholds: readonly [number, number]): Pixels {
  // The first level has nothing before it: black, and its own edges count in full.
  let edges = createFloatPixels({ width: 1, height: 1 }, 3);
  for (const [level, scale] of SCALES.entries()) {
    const width = Math.max(Math.trunc(rgb.width * scale), 1);
    const height = Math.max(Math.trunc(rgb.height * scale), 1);
    const found = cannyOfChannels(resizeArea(rgb, { width, height }), thresholds);
    const share = level === 0 ? 1 : 0.25;
    edges = resizeLinear(edges, found);
    for (let i = 0; i < found.data.length; i++)
      edges.data[i] = (edges.data[i] ?? 0) * 0.75 + ((found.data[i] ?? 0) / 255) * share;
  }
  const sum = createFloatPixels(rgb, 1);
  for (let i = 0; i < sum.data.length; i++)
    sum.data[i] = (edges.data[i * 3] ?? 0) + (edges.data[i * 3 + 1] ?? 0) + (edges.data[i * 3 + 2] ?? 0);
  return spreadPercentiles(sum, 1, 99);
}
