import type { Pixels } from '#engine/stages/pixels/resize.ts';

/** tan 22.5°: between which directions of a gradient the neighbours to compare with change. */
const TAN_22_5 = Math.SQRT2 - 1;

/**
 * The edges of an image, white on black, one pixel wide: Sobel gradients of the channel that changes most, thinned along
 * their direction, followed from strong ones to weaker ones.
 * Source: Canny 1986, "A computational approach to edge detection", with OpenCV's choices (imgproc, `Canny` with aperture 3
 * and the sum of both gradients for their size), which the preprocessors of ControlNets use.
 *
 * @param thresholds of a gradient's size, its two parts together: beyond `high` it is an edge, beyond `low` it continues one
 */
export function findEdges(pixels: Pixels, thresholds: { low: number; high: number }): Pixels {
  const { width, height } = pixels;
  const { across, down } = sobel(pixels);
  const size = (x: number, y: number): number => {
    if (x < 0 || y < 0 || x >= width || y >= height) return 0;
    const i = y * width + x;
    return Math.abs(across[i] ?? 0) + Math.abs(down[i] ?? 0);
  };

  const isRidge = (x: number, y: number): boolean => {
    const i = y * width + x;
    const [dx, dy] = [across[i] ?? 0, down[i] ?? 0];
    const own = size(x, y);
    if (Math.abs(dy) < Math.abs(dx) * TAN_22_5) return own > size(x - 1, y) && own >= size(x + 1, y);
    if (Math.abs(dx) < Math.abs(dy) * TAN_22_5) return own > size(x, y - 1) && own >= size(x, y + 1);
    const slope = dx * dy < 0 ? -1 : 1;
    return own > size(x - slope, y - 1) && own > size(x + slope, y + 1);
  };

  const candidates = new Uint8Array(width * height);
  const open: number[] = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const own = size(x, y);
      if (own <= thresholds.low || !isRidge(x, y)) continue;
      candidates[y * width + x] = 1;
      if (own > thresholds.high) open.push(y * width + x);
    }
  }

  const data = new Uint8ClampedArray(width * height * 4);
  for (let i = 3; i < data.length; i += 4) data[i] = 255;
  for (let edge = open.pop(); edge !== undefined; edge = open.pop()) {
    if (candidates[edge] !== 1) continue;
    candidates[edge] = 0;
    data.fill(255, edge * 4, edge * 4 + 3);
    const [x, y] = [edge % width, Math.floor(edge / width)];
    for (let below = Math.max(0, y - 1); below <= Math.min(height - 1, y + 1); below++) {
      for (let beside = Math.max(0, x - 1); beside <= Math.min(width - 1, x + 1); beside++) {
        if (candidates[below * width + beside] === 1) open.push(below * width + beside);
      }
    }
  }
  return { width, height, data };
}

/** Derivatives to the right and downwards, of the channel where they are largest together; borders continue outwards. */
function sobel({ width, height, data }: Pixels): { across: Int16Array; down: Int16Array } {
  const across = new Int16Array(width * height);
  const down = new Int16Array(width * height);
  for (let y = 0; y < height; y++) {
    const above = Math.max(0, y - 1) * width;
    const below = Math.min(height - 1, y + 1) * width;
    for (let x = 0; x < width; x++) {
      const left = Math.max(0, x - 1);
      const right = Math.min(width - 1, x + 1);
      for (let channel = 0; channel < 3; channel++) {
        const at = (row: number, column: number) => data[(row + column) * 4 + channel] ?? 0;
        const corners = at(below, right) - at(above, left);
        const others = at(above, right) - at(below, left);
        const dx = corners + others + 2 * (at(y * width, right) - at(y * width, left));
        const dy = corners - others + 2 * (at(below, x) - at(above, x));
        const i = y * width + x;
        if (Math.abs(dx) + Math.abs(dy) > Math.abs(across[i] ?? 0) + Math.abs(down[i] ?? 0)) {
          across[i] = dx;
          down[i] = dy;
        }
      }
    }
  }
  return { across, down };
}
