import type { Margins } from '#imaging/pixels.ts';
import type { Size } from '#protocol/job.ts';

/** A side of an image that is outpainted. */
export type OutpaintDirection = 'left' | 'right' | 'up' | 'down';

/**
 * The pixels to add on each side: as many as requested, rounded up so that both sides of the image are multiples of
 * 64. Source: A1111 scripts/poor_mans_outpainting.py and outpainting_mk_2.py.
 */
export function outpaintMargins(
  image: Size,
  pixels: number,
  directions: readonly OutpaintDirection[],
): { target: Size; margins: Margins } {
  const wanted = (direction: OutpaintDirection) => (directions.includes(direction) ? pixels : 0);
  const across = stretch(image.width, wanted('left'), wanted('right'));
  const down = stretch(image.height, wanted('up'), wanted('down'));
  return {
    target: { width: across.target, height: down.target },
    margins: { left: across.before, right: across.after, top: down.before, bottom: down.after },
  };
}

function stretch(
  side: number,
  before: number,
  after: number,
): { target: number; before: number; after: number } {
  const target = Math.ceil((side + before + after) / 64) * 64;
  const first = before > 0 ? Math.floor((before * (target - side)) / (before + after)) : 0;
  return { target, before: first, after: after > 0 ? target - side - first : 0 };
}
