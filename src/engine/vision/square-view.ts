import type { TensorValue } from '#engine/runtime/runtime.ts';
import type { Box } from '#imaging/masks/box.ts';
import { resize } from '#imaging/pillow/resize.ts';
import type { Pixels } from '#imaging/pixels.ts';

/** A point in pixels of an image. */
export interface Point {
  x: number;
  y: number;
}

/** A rectangle of an image as a network with a square input sees it. */
export interface SquareView {
  /** Red, green and blue in 0 … 1, plane after plane. */
  data: Float32Array;
  /** Where a point of the square, in 0 … 1 of its sides, is in the image. */
  toImage: (point: Point) => Point;
}

/**
 * Scales the longer side of a rectangle to the square's, and puts it into the middle. What is outside of the rectangle or the
 * image is black.
 * @param image RGB
 * @param region in pixels; may reach beyond the image
 * @param side of the square in pixels
 */
export function viewSquare(image: Pixels, region: Box, side: number): SquareView {
  const across = placeLine([region.left, region.right], image.width, region, side);
  const down = placeLine([region.top, region.bottom], image.height, region, side);
  const data = new Float32Array(3 * side * side);
  const [width, height] = [across.to - across.from, down.to - down.from];
  const box = { x1: across.start, y1: down.start, x2: across.end, y2: down.end };
  const part = resize(image, { width, height }, 'bilinear', box);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const source = (y * width + x) * part.channels;
      const target = (down.from + y) * side + across.from + x;
      for (let channel = 0; channel < 3; channel++)
        data[channel * side * side + target] = (part.data[source + channel] ?? 0) / 255;
    }
  }
  return {
    data,
    toImage: ({ x, y }) => ({ x: onImage(x * side, across), y: onImage(y * side, down) }),
  };
}

/** Several views of one size as the input of a network, [views, 3, side, side]. */
export function joinViews(views: readonly SquareView[], side: number): TensorValue {
  const data = new Float32Array(views.length * 3 * side * side);
  views.forEach((view, index) => data.set(view.data, index * 3 * side * side));
  return { type: 'float32', data, dims: [views.length, 3, side, side] };
}

/** A line of the image, and the whole pixels of the square that it is resized to. */
interface Line {
  start: number;
  end: number;
  from: number;
  to: number;
}

/** The part of a region's side that is in the image, and its place in the square. */
function placeLine([first, last]: [number, number], imageSide: number, region: Box, side: number): Line {
  const longer = Math.max(region.right - region.left, region.bottom - region.top);
  const scale = side / longer;
  const margin = (side - (last - first) * scale) / 2;
  // A region beside the image sees its outermost pixels, not nothing: resizing needs some.
  const start = Math.min(Math.max(first, 0), imageSide - 1);
  const end = Math.max(Math.min(last, imageSide), start + 1);
  const from = Math.min(Math.max(Math.round((start - first) * scale + margin), 0), side - 1);
  const to = Math.min(Math.max(Math.round((end - first) * scale + margin), from + 1), side);
  return { start, end, from, to };
}

function onImage(place: number, { start, end, from, to }: Line): number {
  return start + ((place - from) * (end - start)) / (to - from);
}
