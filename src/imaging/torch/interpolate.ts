import { createPlanes, type Planes } from '#imaging/planes.ts';
import type { Size } from '#protocol/job.ts';

/** How torch resizes planes. */
export interface InterpolateOptions {
  mode: 'nearest' | 'nearest-exact' | 'bilinear' | 'bicubic';
  /** Average over what a target cell covers when the planes get smaller. Not for the nearest ones. */
  antialias: boolean;
}

/** Source cells of one target cell and their weights. */
type Taps = readonly (readonly [source: number, weight: number])[];

/**
 * Resizes planes as `torch.nn.functional.interpolate` does without aligned corners.
 * Source: PyTorch aten/src/ATen/native/UpSample.h and cpu/UpSampleKernel.cpp.
 */
export function interpolate(planes: Planes, { width, height }: Size, options: InterpolateOptions): Planes {
  const across = resizeLines(planes, 'width', width, options);
  return resizeLines(across, 'height', height, options);
}

function resizeLines(
  planes: Planes,
  side: 'width' | 'height',
  target: number,
  options: InterpolateOptions,
): Planes {
  const source = planes[side];
  if (source === target) return planes;
  const result = createPlanes({ ...planes, [side]: target });
  const step = side === 'width' ? 1 : planes.width;
  const lines = (planes.channels * planes.height * planes.width) / source;
  for (let place = 0; place < target; place++) {
    const taps = tapsOf(place, source, target, options);
    for (let line = 0; line < lines; line++) {
      // A line's cells lie `step` apart; `step` lines lie side by side.
      const [block, offset] = [Math.floor(line / step), line % step];
      let sum = 0;
      for (const [cell, weight] of taps) {
        sum += weight * (planes.data[(block * source + cell) * step + offset] ?? 0);
      }
      result.data[(block * target + place) * step + offset] = sum;
    }
  }
  return result;
}

function tapsOf(
  place: number,
  source: number,
  target: number,
  { mode, antialias }: InterpolateOptions,
): Taps {
  const scale = source / target;
  if (mode === 'nearest') return [[Math.min(Math.floor(place * scale), source - 1), 1]];
  if (mode === 'nearest-exact') return [[Math.min(Math.floor((place + 0.5) * scale), source - 1), 1]];
  if (antialias) return averagedTaps(place, source, scale, mode);
  const centre = (place + 0.5) * scale - 0.5;
  if (mode === 'bilinear') {
    const from = Math.max(centre, 0);
    const cell = Math.min(Math.floor(from), source - 1);
    const share = from - cell;
    return [
      [cell, 1 - share],
      [Math.min(cell + 1, source - 1), share],
    ];
  }
  const cell = Math.floor(centre);
  return [-1, 0, 1, 2].map((offset) => [
    Math.min(Math.max(cell + offset, 0), source - 1),
    cubic(cell + offset - centre, -0.75),
  ]);
}

/** Pillow's rule: filters are as wide as a target cell, their weights add up to 1, and none are outside. */
function averagedTaps(place: number, source: number, scale: number, mode: 'bilinear' | 'bicubic'): Taps {
  const stretch = Math.max(scale, 1);
  const reach = (mode === 'bilinear' ? 1 : 2) * stretch;
  const centre = (place + 0.5) * scale;
  const first = Math.max(Math.trunc(centre - reach + 0.5), 0);
  const last = Math.min(Math.trunc(centre + reach + 0.5), source);
  const taps = Array.from({ length: last - first }, (_, i): [number, number] => {
    const distance = (first + i - centre + 0.5) / stretch;
    return [first + i, mode === 'bilinear' ? Math.max(1 - Math.abs(distance), 0) : cubic(distance, -0.5)];
  });
  const sum = taps.reduce((total, [, weight]) => total + weight, 0);
  return taps.map(([cell, weight]) => [cell, weight / sum]);
}

/** Keys' cubic convolution with the slope `a`. */
function cubic(distance: number, a: number): number {
  const x = Math.abs(distance);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}
