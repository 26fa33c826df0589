import { crop } from '#imaging/pillow/paste.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { Size } from '#protocol/job.ts';

/** The middle of an image; of an odd surplus the larger half is cut off at the right and below. */
export function cutMiddle(pixels: Pixels, { width, height }: Size): Pixels {
  if (width === pixels.width && height === pixels.height) return pixels;
  const x1 = Math.floor((pixels.width - width) / 2);
  const y1 = Math.floor((pixels.height - height) / 2);
  return crop(pixels, { x1, y1, x2: x1 + width, y2: y1 + height });
}
