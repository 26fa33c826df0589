import type { ModelPack } from '#protocol/model.ts';
import type { Size } from '#protocol/job.ts';

/** A size that is offered. */
export interface Shape extends Size {
  /** `512 × 768`. */
  label: string;
}

/** Common aspect ratios, besides the sizes a model was trained for. */
const ASPECTS = [1, 3 / 4, 4 / 3, 2 / 3, 3 / 2, 9 / 16, 16 / 9];

/** Sides are multiples of this many pixels. */
const MULTIPLE = 64;

/** Aspects this close are the same. */
const SAME_ASPECT = 0.04;

/**
 * The sizes a model is offered at: those it was trained for, and where it generates at any size also the usual aspects, at
 * about as many pixels as its own default.
 */
export function shapesOf({ sizing, trainedSizes, defaults }: ModelPack): Shape[] {
  const trained = trainedSizes.map(([width, height]) => ({ width, height }));
  const area = defaults.width * defaults.height;
  const further = sizing === 'trained' ? [] : ASPECTS.map((aspect) => sizeOf(area, aspect));
  const shapes: Size[] = [];
  for (const size of [...trained, ...further]) {
    const aspect = Math.log(size.width / size.height);
    if (shapes.every(({ width, height }) => Math.abs(Math.log(width / height) - aspect) > SAME_ASPECT))
      shapes.push(size);
  }
  return shapes.map((size) => ({ ...size, label: labelOf(size) }));
}

/** `512 × 768`. */
export function labelOf({ width, height }: Size): string {
  return `${width} × ${height}`;
}

function sizeOf(area: number, aspect: number): Size {
  const round = (side: number) => Math.max(1, Math.round(side / MULTIPLE)) * MULTIPLE;
  return { width: round(Math.sqrt(area * aspect)), height: round(Math.sqrt(area / aspect)) };
}

/** Pixels on a side of a latent cell; sides of what is generated are multiples of it. */
export const CELL = 8;

/** The largest size with an image's aspect that has no more than `area` pixels, in whole cells. */
export function fitArea({ width, height }: Size, area: number): Size {
  const scale = Math.min(1, Math.sqrt(area / (width * height)));
  const round = (side: number) => Math.max(CELL, Math.round((side * scale) / CELL) * CELL);
  return { width: round(width), height: round(height) };
}
