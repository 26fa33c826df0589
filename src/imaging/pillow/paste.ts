import { createPixels, type Pixels, type Region } from '#imaging/pixels.ts';
import type { Size } from '#protocol/job.ts';
import { divideBy255 } from './alpha.ts';

/** Where an image is put: its left upper pixel. */
export interface Place {
  x: number;
  y: number;
}

/**
 * A copy of `below` with `above` on it, as far as it fits; through a grey mask of the same size as `above`, rounded.
 * Both images need the same channels. Pillow's `Image.paste`; src/libImaging/Paste.c.
 */
export function paste(below: Pixels, above: Pixels, place: Place, mask?: Pixels): Pixels {
  const pasted = { ...below, data: below.data.slice() };
  pasteInto(pasted, above, place, mask);
  return pasted;
}

/** {@link paste} into an image that is changed. */
export function pasteInto(target: Pixels, above: Pixels, { x, y }: Place, mask?: Pixels): void {
  const { channels, data } = target;
  const left = Math.max(-x, 0);
  const right = Math.min(above.width, target.width - x);
  if (left >= right) return;
  for (let row = Math.max(-y, 0); row < Math.min(above.height, target.height - y); row++) {
    const from = row * above.width;
    const to = (row + y) * target.width + x;
    if (!mask) {
      data.set(
        above.data.subarray((from + left) * channels, (from + right) * channels),
        (to + left) * channels,
      );
      continue;
    }
    for (let column = left; column < right; column++) {
      const weight = mask.data[from + column] ?? 0;
      for (let channel = 0; channel < channels; channel++) {
        const at = (to + column) * channels + channel;
        const sample = above.data[(from + column) * channels + channel] ?? 0;
        data[at] = divideBy255((data[at] ?? 0) * (255 - weight) + sample * weight);
      }
    }
  }
}

/** A region of an image; pixels outside the image are black and, with alpha, transparent. Pillow's `Image.crop`. */
export function crop(pixels: Pixels, { x1, y1, x2, y2 }: Region): Pixels {
  return paste(createPixels({ width: x2 - x1, height: y2 - y1 }, pixels.channels), pixels, {
    x: -x1,
    y: -y1,
  });
}

/** An image of one colour with as many channels as the colour. Pillow's `Image.new`. */
export function filled(size: Size, colour: readonly [number, number, number] | readonly [number]): Pixels {
  const image = createPixels(size, colour.length);
  for (let i = 0; i < image.data.length; i += colour.length) image.data.set(colour, i);
  return image;
}
