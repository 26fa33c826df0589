/** A place in an image, in pixels; 0 is the centre of the first one. */
export interface Point {
  x: number;
  y: number;
}

/** Turning, scaling and moving: x′ = a·x − b·y + dx, y′ = b·x + a·y + dy. */
export interface Similarity {
  a: number;
  b: number;
  dx: number;
  dy: number;
}

/**
 * The similarity that brings points closest to others, by the sum of squared distances. Source: Umeyama, "Least-squares
 * estimation of transformation parameters between two point patterns", PAMI 13 (1991), here in the plane and without mirroring.
 * @returns the identity's scale where all points are the same
 */
export function estimateSimilarity(from: readonly Point[], to: readonly Point[]): Similarity {
  const [centerFrom, centerTo] = [meanOf(from), meanOf(to)];
  let [dot, cross, spread] = [0, 0, 0];
  for (const [index, point] of from.entries()) {
    const other = to[index] ?? centerTo;
    const [x, y] = [point.x - centerFrom.x, point.y - centerFrom.y];
    const [u, v] = [other.x - centerTo.x, other.y - centerTo.y];
    dot += x * u + y * v;
    cross += x * v - y * u;
    spread += x * x + y * y;
  }
  const [a, b] = spread === 0 ? [1, 0] : [dot / spread, cross / spread];
  return {
    a,
    b,
    dx: centerTo.x - (a * centerFrom.x - b * centerFrom.y),
    dy: centerTo.y - (b * centerFrom.x + a * centerFrom.y),
  };
}

/** The way back. */
export function invertSimilarity({ a, b, dx, dy }: Similarity): Similarity {
  const square = a * a + b * b;
  const [c, d] = [a / square, -b / square];
  return { a: c, b: d, dx: -(c * dx - d * dy), dy: -(d * dx + c * dy) };
}

/** Where a point goes. */
export function transform({ a, b, dx, dy }: Similarity, { x, y }: Point): Point {
  return { x: a * x - b * y + dx, y: b * x + a * y + dy };
}

function meanOf(points: readonly Point[]): Point {
  const sum = points.reduce((total, { x, y }) => ({ x: total.x + x, y: total.y + y }), { x: 0, y: 0 });
  return { x: sum.x / points.length, y: sum.y / points.length };
}
