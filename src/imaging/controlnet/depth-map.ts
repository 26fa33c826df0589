import { createPixels, greyToRgb, type Pixels } from '#imaging/pixels.ts';
import type { Planes } from '#imaging/planes.ts';

/**
 * How far depth goes from the furthest to the nearest, for slopes: about what MiDaS gives of a whole scene. Other networks
 * have scales of their own.
 */
const DEPTH_RANGE = 1000;

/** The third part of a normal before it has unit length: the larger, the flatter slopes seem. `a` of MiDaS' annotator. */
const FLATNESS = 2 * Math.PI;

/**
 * Depth as a control image: black is the furthest, white the nearest. Source: ControlNet extension annotator/midas/__init__.py.
 * @param depth one channel, on any scale, nearer is more
 */
export function depthMap(depth: Planes): Pixels {
  const map = createPixels(depth, 1);
  normalise(depth).forEach((value, i) => (map.data[i] = Math.trunc(value * 255)));
  return greyToRgb(map);
}

/**
 * The directions of surfaces as a control image: RGB for x, y, z in −1 … 1. Source: ControlNet extension
 * annotator/midas/__init__.py, but for the scale of depth.
 * @param background 0 … 1 from the furthest to the nearest: what is further away is flat
 */
export function normalMap(depth: Planes, background: number): Pixels {
  const { width, height } = depth;
  const near = normalise(depth);
  const at = (x: number, y: number) =>
    (near[mirrored(y, height) * width + mirrored(x, width)] ?? 0) * DEPTH_RANGE;
  const map = createPixels(depth, 3);
  for (let i = 0; i < near.length; i++) {
    const [column, row] = [i % width, Math.floor(i / width)];
    const isFlat = (near[i] ?? 0) < background;
    const x = isFlat ? 0 : slope(at, column, row);
    const y = isFlat ? 0 : slope((down, across) => at(across, down), row, column);
    const length = Math.hypot(x, y, FLATNESS);
    map.data.set(
      [x, y, FLATNESS].map((part) => Math.trunc((part / length) * 127.5 + 127.5)),
      i * 3,
    );
  }
  return map;
}

/** Sobel's operator with an aperture of 3, across. */
function slope(at: (x: number, y: number) => number, x: number, y: number): number {
  const across = (row: number) => at(x + 1, row) - at(x - 1, row);
  return across(y - 1) + 2 * across(y) + across(y + 1);
}

/** OpenCV's default border: the image goes on mirrored, without its outermost pixels. */
function mirrored(place: number, side: number): number {
  if (side === 1) return 0;
  if (place < 0) return -place;
  return place >= side ? 2 * side - 2 - place : place;
}

/** 0 … 1 from the furthest to the nearest; 0 everywhere where all is as far. */
function normalise({ data }: Planes): Float32Array {
  let [least, most] = [Infinity, -Infinity];
  for (const value of data) {
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  const range = most - least;
  return data.map((value) => (range > 0 ? (value - least) / range : 0));
}
