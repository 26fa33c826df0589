import { createPixels, type Pixels } from '#imaging/pixels.ts';

/** Gradients of an image by Sobel's operator, with the strength |x| + |y|; of the strongest channel where there are several. */
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
  const gradients = findGradients(pixels);
  const candidates = new Uint8Array(width * height);
  const strong: number[] = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x;
      const strength = gradients.strength[i] ?? 0;
      if (strength <= low || !isRidge(gradients, width, height, x, y)) continue;
      candidates[i] = strength > high ? STRONG : WEAK;
      if (strength > high) strong.push(i);
    }
  }
  return followEdges(candidates, strong, width, height);
}

/** tan 22.5° in units of 2^−15. */
const TAN_22 = 13573;

/** Whether no gradient is stronger on either side, across the edge. Of two that are equal, one is kept. */
function isRidge({ x, y, strength }: Gradients, width: number, height: number, column: number, row: number) {
  const i = row * width + column;
  const dx = x[i] ?? 0;
  const dy = y[i] ?? 0;
  const own = strength[i] ?? 0;
  const at = (stepX: number, stepY: number) => {
    const inside =
      column + stepX >= 0 && column + stepX < width && row + stepY >= 0 && row + stepY < height;
    return inside ? (strength[i + stepY * width + stepX] ?? 0) : 0;
  };
  const flat = Math.abs(dx) * TAN_22;
  const steep = flat + Math.abs(dx) * 2 ** 16;
  const rise = Math.abs(dy) * 2 ** 15;
  if (rise < flat) return own > at(-1, 0) && own >= at(1, 0);
  if (rise > steep) return own > at(0, -1) && own >= at(0, 1);
  const slope = (dx ^ dy) < 0 ? -1 : 1;
  return own > at(-slope, -1) && own > at(slope, 1);
}

/** All strong candidates, and the weak ones that touch them or each other on the way from one. */
function followEdges(candidates: Uint8Array, strong: number[], width: number, height: number): Pixels {
  const edges = createPixels({ width, height }, 1);
  for (let i = strong.pop(); i !== undefined; i = strong.pop()) {
    edges.data[i] = 255;
    const x = i % width;
    for (let row = Math.floor(i / width) - 1; row <= Math.floor(i / width) + 1; row++) {
      if (row < 0 || row >= height) continue;
      for (let column = Math.max(x - 1, 0); column <= Math.min(x + 1, width - 1); column++) {
        const neighbour = row * width + column;
        if (candidates[neighbour] !== WEAK) continue;
        candidates[neighbour] = STRONG;
        strong.push(neighbour);
      }
    }
  }
  return edges;
}

/** Sobel's operator; beyond the border the edge is repeated. */
function findGradients({ width, height, channels, data }: Pixels): Gradients {
  const area = width * height;
  const gradients = { x: new Int16Array(area), y: new Int16Array(area), strength: new Int32Array(area) };
  for (let y = 0; y < height; y++) {
    const rows = [Math.max(y - 1, 0), y, Math.min(y + 1, height - 1)].map((row) => row * width);
    const [above = 0, here = 0, below = 0] = rows;
    for (let x = 0; x < width; x++) {
      const left = Math.max(x - 1, 0);
      const right = Math.min(x + 1, width - 1);
      let strongest = -1;
      for (let channel = 0; channel < channels; channel++) {
        const at = (pixel: number) => data[pixel * channels + channel] ?? 0;
        const leftTop = at(above + left);
        const rightTop = at(above + right);
        const leftBottom = at(below + left);
        const rightBottom = at(below + right);
        const dx = rightTop - leftTop + 2 * (at(here + right) - at(here + left)) + rightBottom - leftBottom;
        const dy = leftBottom - leftTop + 2 * (at(below + x) - at(above + x)) + rightBottom - rightTop;
        const strength = Math.abs(dx) + Math.abs(dy);
        if (strength <= strongest) continue;
        strongest = strength;
        gradients.x[y * width + x] = dx;
        gradients.y[y * width + x] = dy;
        gradients.strength[y * width + x] = strength;
      }
    }
  }
  return gradients;
}
