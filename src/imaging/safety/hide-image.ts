import { gaussianBlur } from '#imaging/pillow/blur.ts';
import { toRgb } from '#imaging/pillow/convert.ts';
import { resizeNearest } from '#imaging/pillow/nearest.ts';
import { resize } from '#imaging/pillow/resize.ts';
import { createPixels, type Pixels } from '#imaging/pixels.ts';
import type { SafetyAction } from '#protocol/safety.ts';
import { writeNotice } from './notice.ts';

/** Standard deviation of the blur, of the longer side. */
const BLUR = 1 / 16;

/** Blocks along the longer side. */
const BLOCKS = 16;

/** An image of the same size in which nothing can be made out. @returns RGB */
export function hideImage(image: Pixels, action: SafetyAction): Pixels {
  const rgb = toRgb(image);
  const longer = Math.max(rgb.width, rgb.height);
  switch (action) {
    case 'blur':
      return gaussianBlur(rgb, longer * BLUR);
    case 'pixelate': {
      const block = longer / BLOCKS;
      const blocks = (side: number) => Math.max(1, Math.round(side / block));
      const small = resize(rgb, { width: blocks(rgb.width), height: blocks(rgb.height) }, 'box');
      return resizeNearest(small, rgb);
    }
    case 'black':
      return createPixels(rgb, 3);
    case 'text':
      return writeNotice(createPixels(rgb, 3), 'Sensitive content');
  }
}
