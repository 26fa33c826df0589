import { createPixels, padWithEdge, type Margins } from '#imaging/pixels.ts';
import { paste } from '#imaging/pillow/paste.ts';
import type { MaskedImage } from './image-input.ts';

/** A side of the image that can grow. */
export type OutpaintSide = keyof Margins;

/** The share of its side by which an image grows. */
const GROWTH = 0.3;

/**
 * An image grown on some sides by repeating its edge, and its mask white there. A side grows by its distance in pixels,
 * or by 30 % of the image's height or width where that is 0 or less. Source: Fooocus modules/async_worker.py,
 * `apply_outpaint`; the distances are Fooocus-API's.
 */
export function outpaint(
  { image, mask }: MaskedImage,
  sides: readonly OutpaintSide[],
  distances: Partial<Margins> = {},
): MaskedImage {
  if (sides.length === 0) return { image, mask };
  const marginOf = (side: OutpaintSide) => {
    if (!sides.includes(side)) return 0;
    const distance = distances[side] ?? 0;
    if (distance > 0) return distance;
    return Math.trunc((side === 'top' || side === 'bottom' ? image.height : image.width) * GROWTH);
  };
  const margins = {
    left: marginOf('left'),
    top: marginOf('top'),
    right: marginOf('right'),
    bottom: marginOf('bottom'),
  };
  const grown = padWithEdge(image, margins);
  const white = createPixels(grown, 1, 255);
  return { image: grown, mask: paste(white, mask, { x: margins.left, y: margins.top }) };
}
