import { createPixels, type Pixels } from '#imaging/pixels.ts';
import type { Size } from '#protocol/job.ts';

/** A point of a body in pixels, and how certain it is, 0 … 1. */
export interface BodyPoint {
  x: number;
  y: number;
  score: number;
}

type Point = Pick<BodyPoint, 'x' | 'y'>;

/** A body in OpenPose's order of 18 points; null for those that were not found. */
export type OpenPoseBody = readonly (Point | null)[];

/** COCO's 17 points that are OpenPose's, in its order; the neck, which COCO has not, is between the shoulders. */
const FROM_COCO = [0, null, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3] as const;
const SHOULDERS = [5, 6] as const;

/** Points that are less certain are not drawn. */
const LEAST_SCORE = 0.3;

/** Pairs of OpenPose's points, from 0. */
const LIMBS: readonly (readonly [number, number])[] = [
  [1, 2],
  [1, 5],
  [2, 3],
  [3, 4],
  [5, 6],
  [6, 7],
  [1, 8],
  [8, 9],
  [9, 10],
  [1, 11],
  [11, 12],
  [12, 13],
  [1, 0],
  [0, 14],
  [14, 16],
  [0, 15],
  [15, 17],
];

/** Of limb i and of point i: hues from red to magenta, 20° apart. */
const COLOURS: readonly (readonly [number, number, number])[] = [
  [255, 0, 0],
  [255, 85, 0],
  [255, 170, 0],
  [255, 255, 0],
  [170, 255, 0],
  [85, 255, 0],
  [0, 255, 0],
  [0, 255, 85],
  [0, 255, 170],
  [0, 255, 255],
  [0, 170, 255],
  [0, 85, 255],
  [0, 0, 255],
  [85, 0, 255],
  [170, 0, 255],
  [255, 0, 255],
  [255, 0, 170],
  [255, 0, 85],
];

/** Half the width of a limb, and the radius of a point, in pixels. */
const RADIUS = 4;

/** What is drawn before the points of a body is dimmed to this. */
const DIMMED = 0.6;

/** A body of COCO's 17 points in OpenPose's order. The neck is as certain as the less certain shoulder. */
export function toOpenPose(points: readonly BodyPoint[]): OpenPoseBody {
  const [left, right] = SHOULDERS.map((index) => points[index]);
  const neck = left &&
    right && {
      x: (left.x + right.x) / 2,
      y: (left.y + right.y) / 2,
      score: Math.min(left.score, right.score),
    };
  return FROM_COCO.map((index) => {
    const point = index === null ? neck : points[index];
    return point && point.score > LEAST_SCORE ? { x: point.x, y: point.y } : null;
  });
}

/**
 * Stick figures as openpose ControlNets were trained on: limbs as ellipses 8 pixels thick, dimmed, and points as discs.
 * Source: ControlNet extension annotator/openpose/util.py, `draw_bodypose`, and __init__.py, `draw_poses`; it dims what is
 * drawn once more with each further body.
 */
export function drawPoses(size: Size, bodies: readonly OpenPoseBody[]): Pixels {
  let canvas = createPixels(size, 3);
  for (const body of bodies) {
    for (const [index, [from, to]] of LIMBS.entries()) {
      const [a, b] = [body[from], body[to]];
      if (a && b) fillPolygon(canvas, limb(a, b), colourOf(index));
    }
    canvas = { ...canvas, data: canvas.data.map((sample) => Math.trunc(sample * DIMMED)) };
    for (const [index, point] of body.entries()) if (point) fillDisc(canvas, point, colourOf(index));
  }
  return canvas;
}

function colourOf(index: number): readonly [number, number, number] {
  return COLOURS[index] ?? [0, 0, 0];
}

/** The ellipse between two points as a polygon of whole pixels: OpenCV's `ellipse2Poly` with a step of 1°. */
function limb(a: Point, b: Point): Point[] {
  const center = { x: Math.trunc((a.x + b.x) / 2), y: Math.trunc((a.y + b.y) / 2) };
  const half = Math.trunc(Math.hypot(a.x - b.x, a.y - b.y) / 2);
  const degrees = Math.trunc((Math.atan2(a.y - b.y, a.x - b.x) * 180) / Math.PI);
  const [sin, cos] = [Math.sin((degrees * Math.PI) / 180), Math.cos((degrees * Math.PI) / 180)];
  return Array.from({ length: 361 }, (_, step) => {
    const radians = (step * Math.PI) / 180;
    const [along, across] = [half * Math.cos(radians), RADIUS * Math.sin(radians)];
    return {
      x: Math.round(center.x + along * cos - across * sin),
      y: Math.round(center.y + along * sin + across * cos),
    };
  });
}

/** A convex polygon of whole pixels, its outline included. */
function fillPolygon(canvas: Pixels, corners: readonly Point[], colour: readonly number[]): void {
  const rows = new Map<number, [left: number, right: number]>();
  const extend = (x: number, y: number) => {
    const row = rows.get(y);
    rows.set(y, row ? [Math.min(row[0], x), Math.max(row[1], x)] : [x, x]);
  };
  for (const [index, from] of corners.entries()) {
    const to = corners[(index + 1) % corners.length] ?? from;
    const steps = Math.max(Math.abs(to.x - from.x), Math.abs(to.y - from.y), 1);
    for (let step = 0; step <= steps; step++) {
      const share = step / steps;
      extend(Math.round(from.x + (to.x - from.x) * share), Math.round(from.y + (to.y - from.y) * share));
    }
  }
  for (const [y, [left, right]] of rows) fillRow(canvas, y, left, right, colour);
}

function fillDisc(canvas: Pixels, point: Point, colour: readonly number[]): void {
  const [x, y] = [Math.trunc(point.x), Math.trunc(point.y)];
  for (let dy = -RADIUS; dy <= RADIUS; dy++) {
    const half = Math.floor(Math.sqrt(RADIUS ** 2 - dy ** 2));
    fillRow(canvas, y + dy, x - half, x + half, colour);
  }
}

/** Pixels `left` … `right` of a row, as far as they are within the image. */
function fillRow(
  { width, height, data }: Pixels,
  y: number,
  left: number,
  right: number,
  colour: readonly number[],
): void {
  if (y < 0 || y >= height) return;
  for (let x = Math.max(0, left); x <= Math.min(width - 1, right); x++) data.set(colour, (y * width + x) * 3);
}
