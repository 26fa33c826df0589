import { createPixels, type Pixels } from '#imaging/pixels.ts';
import type { Size } from '#protocol/job.ts';

/** A rectangle in pixels of its image: from `left`, `top` to `right`, `bottom`, which are outside. Need not be whole. */
export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** White in a box and black around it, as large as the image. Pixels count whose centres lie within. */
export function boxMask(size: Size, box: Box): Pixels {
  return maskOf(size, (x, y) => x >= box.left && x < box.right && y >= box.top && y < box.bottom);
}

/** White in the ellipse that touches the four sides of a box, and black around it. */
export function ellipseMask(size: Size, { left, top, right, bottom }: Box): Pixels {
  const [centerX, centerY] = [(left + right) / 2, (top + bottom) / 2];
  const [radiusX, radiusY] = [(right - left) / 2, (bottom - top) / 2];
  return maskOf(size, (x, y) => ((x - centerX) / radiusX) ** 2 + ((y - centerY) / radiusY) ** 2 <= 1);
}

/** The part of a box that lies in an image. */
export function clipBox({ left, top, right, bottom }: Box, { width, height }: Size): Box {
  const within = (value: number, side: number) => Math.min(Math.max(value, 0), side);
  return {
    left: within(left, width),
    right: within(right, width),
    top: within(top, height),
    bottom: within(bottom, height),
  };
}

/** Area that two boxes share, of the area that they cover together: 0 … 1. */
export function overlap(a: Box, b: Box): number {
  const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  if (!(width > 0 && height > 0)) return 0;
  const shared = width * height;
  return shared / (areaOf(a) + areaOf(b) - shared);
}

function areaOf({ left, top, right, bottom }: Box): number {
  return (right - left) * (bottom - top);
}

/** The smallest box around what is above 127 in a grey image; null where nothing is. */
export function boundsOf({ width, height, data }: Pixels): Box | null {
  const box = { left: width, top: height, right: 0, bottom: 0 };
  for (let i = 0; i < data.length; i++) {
    if ((data[i] ?? 0) <= 127) continue;
    growBox(box, i % width, Math.floor(i / width));
  }
  return box.right > 0 ? box : null;
}

/** Makes a box contain a pixel. */
export function growBox(box: Box, x: number, y: number): void {
  box.left = Math.min(box.left, x);
  box.right = Math.max(box.right, x + 1);
  box.top = Math.min(box.top, y);
  box.bottom = Math.max(box.bottom, y + 1);
}

function maskOf(size: Size, isInside: (x: number, y: number) => boolean): Pixels {
  const mask = createPixels(size, 1);
  for (let i = 0; i < mask.data.length; i++) {
    if (isInside((i % size.width) + 0.5, Math.floor(i / size.width) + 0.5)) mask.data[i] = 255;
  }
  return mask;
}
