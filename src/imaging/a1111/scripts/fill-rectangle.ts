import type { Pixels, Region } from '#imaging/pixels.ts';

/**
 * The image with a rectangle of one value in every channel. The right and bottom edges belong to it, as with Pillow's
 * `ImageDraw.rectangle`.
 */
export function fillRectangle(pixels: Pixels, value: number, { x1, y1, x2, y2 }: Region): Pixels {
  const { width, height, channels } = pixels;
  const data = pixels.data.slice();
  const [left, right] = [Math.max(x1, 0), Math.min(x2 + 1, width)];
  if (left >= right) return pixels;
  for (let y = Math.max(y1, 0); y < Math.min(y2 + 1, height); y++) {
    data.fill(value, (y * width + left) * channels, (y * width + right) * channels);
  }
  return { ...pixels, data };
}
