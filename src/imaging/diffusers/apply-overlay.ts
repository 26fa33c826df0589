import { resizeImage } from '#imaging/a1111/resize.ts';
import { premultiply, unpremultiply } from '#imaging/pillow/alpha.ts';
import { alphaComposite } from '#imaging/pillow/composite.ts';
import { invert, toGrey, toRgb, toRgba } from '#imaging/pillow/convert.ts';
import { paste } from '#imaging/pillow/paste.ts';
import { createPixels, type Pixels, type Region } from '#imaging/pixels.ts';

/**
 * The init image put over the generated one where the mask is black. Source: diffusers
 * src/diffusers/image_processor.py, `apply_overlay`.
 * @param region of the init image that was generated; the whole without
 */
export function applyOverlay(mask: Pixels, initImage: Pixels, generated: Pixels, region?: Region): Pixels {
  const kept = invert(toGrey(mask));
  const overlay = paste(createPixels(initImage, 4), premultiply(toRgba(initImage)), { x: 0, y: 0 }, kept);
  const image = region ? putAt(initImage, generated, region) : generated;
  return toRgb(alphaComposite(toRgba(image), unpremultiply(overlay)));
}

/** The generated image cropped to the region's size, at its place on black. */
function putAt(initImage: Pixels, generated: Pixels, { x1, y1, x2, y2 }: Region): Pixels {
  const fitted = resizeImage(1, generated, { width: x2 - x1, height: y2 - y1 });
  return paste(createPixels(initImage, 3), fitted, { x: x1, y: y1 });
}
