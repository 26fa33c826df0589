import type { Size } from '#protocol/job.ts';
import { createPixels, padWithEdge, type Pixels } from '#imaging/pixels.ts';

/**
 * Gradients of an image by Sobel's operator, with the strength |x| + |y|; of the strongest channel where there are
 * several. A margin of one pixel without gradient is around them.
 */
interface Gradients {
  x: Int16Array;
  y: Int16Array;
  strength: Int32Array;
}

const WEAK = 1;
const STRONG = 2;

/**
 * `cv2.Canny` with an aperture of 3 and the L1 norm: a mask of 0 and 255. Source: Canny 1986; OpenCV
 * `modules/imgproc/src/canny.cpp`.
 * @param thresholds of the gradient's strength; the smaller is where edges may go on, the larger where they begin
 */
export function canny(pixels: Pixels, thresholds: readonly [number, number]): Pixels {
  const { width, height } = pixels;
  const low = Math.floor(Math.min(...thresholds));
  const high = Math.floor(Math.max(...thresholds));
  const { x: across, y: down, strength } = findGradients(pixels);
  const rowLength = width + 2;
  const candidates = new Uint8Array(strength.length);
  const strong: number[] = [];
  for (let y = 1; y <= height; y++) {
    for (let i = y * rowLength + 1; i <= y * rowLength + width; i++) {
      const own = strength[i] ?? 0;
      if (own <= low || !isRidge(across[i] ?? 0, down[i] ?? 0, strength, i, rowLength)) continue;
      candidates[i] = own > high ? STRONG : WEAK;
      if (own > high) strong.push(i);
    }
  }
  return followEdges(candidates, strong, { width, height });
}

/** tan 22.5° in units of 2^−15. */
const TAN_22 = 13573;

/** Whether no gradient is stronger on either side, across the edge. Of two that are equal, one is kept. */
function isRidge(dx: number, dy: number, strength: Int32Array, i: number, rowLength: number): boolean {
  const own = strength[i] ?? 0;
  const flat = Math.abs(dx) * TAN_22;
  const rise = Math.abs(dy) * 2 ** 15;
  if (rise < flat) return own > (strength[i - 1] ?? 0) && own >= (strength[i + 1] ?? 0);
  if (rise > flat + Math.abs(dx) * 2 ** 16)
    return own > (strength[i - rowLength] ?? 0) && own >= (strength[i + rowLength] ?? 0);
  const step = rowLength + ((dx ^ dy) < 0 ? -1 : 1);
  return own > (strength[i - step] ?? 0) && own > (strength[i + step] ?? 0);
}

/** All strong candidates, and the weak ones that touch them or each other on the way from one. */
function followEdges(candidates: Uint8Array, strong: number[], { width, height }: Size): Pixels {
  const edges = createPixels({ width, height }, 1);
  const rowLength = width + 2;
  for (let i = strong.pop(); i !== undefined; i = strong.pop()) {
    const x = i % rowLength;
    edges.data[((i - x) / rowLength - 1) * width + x - 1] = 255;
    for (let dy = -rowLength; dy <= rowLength; dy += rowLength) {
      for (let neighbour = i + dy - 1; neighbour <= i + dy + 1; neighbour++) {
        if (candidates[neighbour] !== WEAK) continue;
        candidates[neighbour] = STRONG;
        strong.push(neighbour);
      }
    }
  }
  return edges;
}

/** Sobel's operator; beyond the border the edge is repeated. */
function findGradients(pixels: Pixels): Gradients {
  const { width, height, channels } = pixels;
  const { width: rowLength, data } = padWithEdge(pixels, { left: 1, top: 1, right: 1, bottom: 1 });
  const area = rowLength * (height + 2);
  const gradients = { x: new Int16Array(area), y: new Int16Array(area), strength: new Int32Array(area) };
  const below = rowLength * channels;
  for (let y = 1; y <= height; y++) {
    for (let x = 1; x <= width; x++) {
      const pixel = y * rowLength + x;
      let strongest = -1;
      for (let i = pixel * channels; i < (pixel + 1) * channels; i++) {
        const falling = (data[i + below + channels] ?? 0) - (data[i - below - channels] ?? 0);
        const rising = (data[i - below + channels] ?? 0) - (data[i + below - channels] ?? 0);
        const dx = falling + rising + 2 * ((data[i + channels] ?? 0) - (data[i - channels] ?? 0));
        const dy = falling - rising + 2 * ((data[i + below] ?? 0) - (data[i - below] ?? 0));
        const strength = Math.abs(dx) + Math.abs(dy);
        if (strength <= strongest) continue;
        strongest = strength;
        gradients.x[pixel] = dx;
        gradients.y[pixel] = dy;
        gradients.strength[pixel] = strength;
      }
    }
  }
  return gradients;
}
