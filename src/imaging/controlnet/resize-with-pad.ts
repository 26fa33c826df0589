import type { Size } from '#protocol/job.ts';
import { resizeArea, resizeCubic } from '#imaging/opencv/resize.ts';
import { padWithEdge, toRgbOnWhite, type Pixels } from '#imaging/pixels.ts';
import { roundHalfToEven } from '#imaging/round.ts';

/** What sides are padded to multiples of. */
const GRID = 64;

/** An image for a preprocessor. */
export interface PaddedImage {
  /** RGB, its edge repeated to the right and downwards so that both sides are multiples of 64. */
  padded: Pixels;
  /** What of it is image. */
  size: Size;
}

/**
 * An image with its shorter side at `resolution`. Source: ControlNet extension scripts/utils.py,
 * `resize_image_with_pad`.
 */
export function resizeWithPad(pixels: Pixels, resolution: number): PaddedImage {
  const scale = resolution / Math.min(pixels.width, pixels.height);
  const size = {
    width: roundHalfToEven(pixels.width * scale),
    height: roundHalfToEven(pixels.height * scale),
  };
  const resized = (scale > 1 ? resizeCubic : resizeArea)(toRgbOnWhite(pixels), size);
  const margin = (side: number) => Math.ceil(side / GRID) * GRID - side;
  const margins = { left: 0, top: 0, right: margin(size.width), bottom: margin(size.height) };
  return { padded: padWithEdge(resized, margins), size };
}
