import { createPixels, type Pixels } from '#imaging/pixels.ts';
import { divideBy255 } from './alpha.ts';

/**
 * Puts RGBA over RGBA of the same size. Pillow's `alpha_composite`; src/libImaging/AlphaComposite.c.
 * @throws RangeError when the sizes differ
 */
export function alphaComposite(below: Pixels, above: Pixels): Pixels {
  if (below.width !== above.width || below.height !== above.height) {
    throw new RangeError('Only images of one size can be composited.');
  }
  const result = createPixels(below, 4);
  for (let i = 0; i < below.data.length; i += 4) {
    const alpha = above.data[i + 3] ?? 0;
    if (alpha === 0) {
      for (let channel = i; channel < i + 4; channel++) result.data[channel] = below.data[channel] ?? 0;
      continue;
    }
    const outAlpha = alpha * 255 + (below.data[i + 3] ?? 0) * (255 - alpha);
    // Seven binary digits more than a byte, as the reference has them.
    const weight = Math.trunc((alpha * 255 * 255 * 128) / outAlpha);
    for (let channel = i; channel < i + 3; channel++) {
      const mixed =
        (above.data[channel] ?? 0) * weight + (below.data[channel] ?? 0) * (255 * 128 - weight) + 128 * 128;
      result.data[channel] = (((mixed >> 8) + mixed) >> 8) >> 7;
    }
    result.data[i + 3] = divideBy255(outAlpha);
  }
  return result;
}
