import type { Size } from '#protocol/job.ts';
import { createPixels, padWithEdge, type Margins, type Pixels } from '#imaging/pixels.ts';
import { paste } from '#imaging/pillow/paste.ts';
import type { MaskedImage } from './image-input.ts';

/** A side of the image that can grow. */
export type OutpaintSide = keyof Margins;

/** The share of its side by which an image grows. */
const GROWTH = 0.3;

/**
 * How much an image grows on some sides: by the distance of a side in pixels, or by 30 % of the image's height or width
 * where that is 0 or less. Source: Fooocus modules/async_worker.py, `apply_outpaint`; the distances are Fooocus-API's.
 */
export function outpaintMargins(
  { width, height }: Size,
  sides: readonly OutpaintSide[],
  distances: Partial<Margins> = {},
): Margins {
  const marginOf = (side: OutpaintSide) => {
    if (!sides.includes(side)) return 0;
    const distance = distances[side] ?? 0;
    if (distance > 0) return distance;
    return Math.trunc((side === 'top' || side === 'bottom' ? height : width) * GROWTH);
  };
  return {
    left: marginOf('left'),
    top: marginOf('top'),
    right: marginOf('right'),
    bottom: marginOf('bottom'),
  };
}

/** A mask with margins that are white. Source: the same function. */
export function outpaintMask(mask: Pixels, { left, top, right, bottom }: Margins): Pixels {
  const size = { width: left + mask.width + right, height: top + mask.height + bottom };
  return paste(createPixels(size, 1, 255), mask, { x: left, y: top });
}

/** An image grown on some sides by repeating its edge, and its mask white there. Source: the same function. */
export function outpaint(
  { image, mask }: MaskedImage,
  sides: readonly OutpaintSide[],
  distances: Partial<Margins> = {},
): MaskedImage {
  if (sides.length === 0) return { image, mask };
  const margins = outpaintMargins(image, sides, distances);
  return { image: padWithEdge(image, margins), mask: outpaintMask(mask, margins) };
}
