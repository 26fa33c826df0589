import type { Size } from '#protocol/job.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { Planes } from '#imaging/planes.ts';

/** A part of an image that is upscaled separately, in pixels of the original image. */
export interface UpscaleTile extends Size {
  left: number;
  top: number;
  /** Columns and rows shared with the tiles to the left and above; 0 at the image's edges. */
  overlapLeft: number;
  overlapTop: number;
  /** Pixels around it that the network sees besides; what it makes of them is dropped. */
  context: number;
}

/** Pixels that neighbours share at least, as A1111's `ESRGAN_tile_overlap`. */
const OVERLAP = 8;

/**
 * Tiles of one size that cover an image in rows, each with sides of at most `side` pixels and multiples of `multiple`. They
 * only reach beyond the image's edges if its own sides are not such multiples.
 * @param context pixels around a tile that decide what the network makes of it. With enough of them tiles need no blending
 */
export function planTiles(size: Size, side: number, multiple: number, context = 0): UpscaleTile[] {
  const shared = context === 0 ? OVERLAP : 0;
  const rows = divideSide(size.height, side, multiple, shared);
  const columns = divideSide(size.width, side, multiple, shared);
  return rows.flatMap(({ start: top, length: height, overlap: overlapTop }) =>
    columns.map(({ start: left, length: width, overlap: overlapLeft }) => ({
      left,
      top,
      width,
      height,
      overlapLeft,
      overlapTop,
      context,
    })),
  );
}

/** Parts of equal length: slivers would be upscaled without seeing what is around them. */
function divideSide(length: number, side: number, multiple: number, shared: number) {
  const roundUp = (pixels: number) => Math.ceil(pixels / multiple) * multiple;
  const whole = roundUp(length);
  const count = Math.max(1, Math.ceil((whole - shared) / (side - shared)));
  const part = count === 1 ? whole : roundUp((whole - shared) / count) + shared;
  const startOf = (index: number) =>
    index === 0 ? 0 : Math.floor(((whole - part) * index) / (count - 1) / multiple) * multiple;
  return Array.from({ length: count }, (_, index) => ({
    start: startOf(index),
    length: part,
    overlap: index === 0 ? 0 : startOf(index - 1) + part - startOf(index),
  }));
}

/** A tile's pixels and those around it as red, green and blue in 0 … 1. Beyond the image's edges its last pixels go on. */
export function cutTile(from: Pixels, tile: UpscaleTile): Planes {
  const [left, top] = [tile.left - tile.context, tile.top - tile.context];
  const [width, height] = [tile.width + 2 * tile.context, tile.height + 2 * tile.context];
  const area = width * height;
  const data = new Float32Array(3 * area);
  const within = (place: number, side: number) => Math.min(Math.max(place, 0), side - 1);
  for (let y = 0; y < height; y++) {
    const row = within(top + y, from.height) * from.width;
    for (let x = 0; x < width; x++) {
      const source = (row + within(left + x, from.width)) * from.channels;
      const target = y * width + x;
      for (let channel = 0; channel < 3; channel++)
        data[channel * area + target] = (from.data[source + channel] ?? 0) / 255;
    }
  }
  return { channels: 3, height, width, data };
}

/**
 * Puts an upscaled tile into its place in the upscaled image, which is RGB, where it fades in over what the tiles before it left there.
 * The image is kept in bytes: in floats one of 64 megapixels would take 800 MB.
 */
export function placeTile(upscaled: Planes, tile: UpscaleTile, factor: number, to: Pixels): void {
  const area = upscaled.width * upscaled.height;
  const [left, top, margin] = [tile.left * factor, tile.top * factor, tile.context * factor];
  const width = Math.min(upscaled.width - 2 * margin, to.width - left);
  const height = Math.min(upscaled.height - 2 * margin, to.height - top);
  const fadeX = fadeIn(width, tile.overlapLeft * factor);
  const fadeY = fadeIn(height, tile.overlapTop * factor);
  for (let y = 0; y < height; y++) {
    const rowShare = fadeY[y] ?? 1;
    for (let x = 0; x < width; x++) {
      const share = rowShare * (fadeX[x] ?? 1);
      const source = (y + margin) * upscaled.width + x + margin;
      const target = ((top + y) * to.width + left + x) * to.channels;
      for (let channel = 0; channel < 3; channel++) {
        const value = (upscaled.data[channel * area + source] ?? 0) * 255;
        to.data[target + channel] =
          share === 1 ? value : (1 - share) * (to.data[target + channel] ?? 0) + share * value;
      }
    }
  }
}

/**
 * Shares from 0 to 1 over the middle half of `extent` pixels: its outer quarters, at the edge of one tile or the other, are
 * where a network sees least of what is around.
 */
function fadeIn(length: number, extent: number): Float32Array {
  if (extent === 0) return new Float32Array(length).fill(1);
  return Float32Array.from({ length }, (_, index) =>
    Math.min(1, Math.max(0, (index + 0.5 - extent / 4) / (extent / 2))),
  );
}
