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
export function paste(below: Pixels, above: Pixels, { x, y }: Place, mask?: Pixels): Pixels {
  const { channels } = below;
  const data = below.data.slice();
  const left = Math.max(-x, 0);
  const right = Math.min(above.width, below.width - x);
  for (let row = Math.max(-y, 0); row < Math.min(above.height, below.height - y); row++) {
    for (let column = left; column < right; column++) {
      const from = row * above.width + column;
      const to = ((row + y) * below.width + column + x) * channels;
      const weight = mask ? (mask.data[from] ?? 0) : 255;
      for (let channel = 0; channel < channels; channel++) {
        const sample = above.data[from * channels + channel] ?? 0;
        data[to + channel] = divideBy255((data[to + channel] ?? 0) * (255 - weight) + sample * weight);
      }
    }
  }
  return { ...below, data };
}

/** A region of an image; what lies outside of the image is black and, with alpha, transparent. Pillow's `Image.crop`. */
export function crop(pixels: Pixels, { x1, y1, x2, y2 }: Region): Pixels {
  return paste(createPixels({ width: x2 - x1, height: y2 - y1 }, pixels.channels), pixels, { x: -x1, y: -y1 });
}

/** An image of one colour with as many channels as the colour. Pillow's `Image.new`. */
export function filled(size: Size, colour: readonly [number, number, number] | readonly [number]): Pixels {
  const image = createPixels(size, colour.length);
  for (let i = 0; i < image.data.length; i += colour.length) image.data.set(colour, i);
  return image;
}
