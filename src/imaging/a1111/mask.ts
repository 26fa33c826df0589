import { channelOf, createPixels, mapSamples, type Pixels } from '#imaging/pixels.ts';
import { premultiply, unpremultiply } from '#imaging/pillow/alpha.ts';
import { gaussianBlur } from '#imaging/pillow/blur.ts';
import { alphaComposite } from '#imaging/pillow/composite.ts';
import { invert, toGrey, toRgb, toRgba } from '#imaging/pillow/convert.ts';
import { paste } from '#imaging/pillow/paste.ts';

/**
 * The grey mask in an image: its alpha, unless that is 255 everywhere, else its brightness. With `round` an alpha above
 * 128 is white and the rest black. Source: A1111 modules/processing.py, `create_binary_mask`.
 */
export function createBinaryMask(image: Pixels, round: boolean): Pixels {
  if (image.channels !== 4) return toGrey(image);
  const alpha = channelOf(image, 3);
  if (alpha.data.every((sample) => sample === 255)) return toGrey(image);
  return round ? mapSamples(alpha, (sample) => (sample > 128 ? 255 : 0)) : alpha;
}

/**
 * RGBA of an image with holes where a grey mask is white. What the webui puts over a generated image.
 * Source: A1111 modules/processing.py, `StableDiffusionProcessingImg2Img.init`, `image_masked`.
 */
export function cutOut(image: Pixels, mask: Pixels): Pixels {
  return unpremultiply(cutOutPremultiplied(image, mask));
}

function cutOutPremultiplied(image: Pixels, mask: Pixels): Pixels {
  return paste(createPixels(image, 4), premultiply(toRgba(image)), { x: 0, y: 0 }, invert(toGrey(mask)));
}

/** Standard deviations of the blurs that are laid over one another, from far to near, and how often each. */
const FILL_BLURS: readonly (readonly [radius: number, repeats: number])[] = [
  [256, 1],
  [64, 1],
  [16, 2],
  [4, 4],
  [2, 2],
  [0, 1],
];

/**
 * RGB where the white of a grey mask is filled with blurred colours from around it.
 * Source: A1111 modules/masking.py, `fill`.
 */
export function fillMasked(image: Pixels, mask: Pixels): Pixels {
  const visible = cutOutPremultiplied(image, mask);
  let result = createPixels(image, 4);
  for (const [radius, repeats] of FILL_BLURS) {
    const blurred = unpremultiply(gaussianBlur(visible, radius));
    for (let i = 0; i < repeats; i++) result = alphaComposite(result, blurred);
  }
  return toRgb(result);
}
