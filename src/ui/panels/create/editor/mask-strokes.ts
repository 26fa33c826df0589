/** One dab of a brush, in pixels of the image. */
export interface Dab {
  x: number;
  y: number;
  radius: number;
}

/** A line of the brush or the eraser. */
export interface Stroke {
  kind: 'stroke';
  erases: boolean;
  /** 0 (hard) … 1. */
  softness: number;
  dabs: Dab[];
}

/** What was done to a mask, in order; a mask is what its operations make of an empty one. */
export type MaskOperation =
  | Stroke
  | { kind: 'clear' }
  | { kind: 'invert' }
  /** White where the image is transparent. */
  | { kind: 'transparent' }
  /** What was found in the image: an opaque image file of its size, white where it is. */
  | { kind: 'found'; mask: Blob };

/** A rectangle in pixels. */
export interface Area {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Parts of a radius between two dabs of a stroke: close enough that its edge shows no scallops. */
const SPACING = 0.2;

/** The dabs from the last one of a stroke to a new point, that point included. */
export function dabsTo(from: Dab | undefined, to: Dab): Dab[] {
  if (!from) return [to];
  const distance = Math.hypot(to.x - from.x, to.y - from.y);
  const count = Math.max(1, Math.ceil(distance / Math.max(0.5, SPACING * to.radius)));
  const between = (a: number, b: number, index: number) => a + ((b - a) * (index + 1)) / count;
  return Array.from({ length: count }, (_, index) => ({
    x: between(from.x, to.x, index),
    y: between(from.y, to.y, index),
    radius: between(from.radius, to.radius, index),
  }));
}

/**
 * Puts dabs on an opaque mask. Each pixel takes the brighter of what is there and of the dab (the darker when erasing), so
 * that overlapping soft dabs do not add up.
 * @returns the area that may have changed, or null
 */
export function stamp(
  context: OffscreenCanvasRenderingContext2D,
  { erases, softness }: Pick<Stroke, 'erases' | 'softness'>,
  dabs: readonly Dab[],
): Area | null {
  const [inside, outside] = erases ? ['#000', '#fff'] : ['#fff', '#000'];
  context.globalCompositeOperation = erases ? 'darken' : 'lighten';
  for (const { x, y, radius } of dabs) {
    // A hard edge is one pixel wide, so that it is smooth.
    const core = Math.max(0, Math.min(radius - 1, radius * (1 - softness)));
    const gradient = context.createRadialGradient(x, y, core, x, y, radius);
    gradient.addColorStop(0, inside);
    gradient.addColorStop(1, outside);
    context.fillStyle = gradient;
    context.fillRect(x - radius, y - radius, 2 * radius, 2 * radius);
  }
  context.globalCompositeOperation = 'source-over';
  return areaOf(dabs);
}

function areaOf(dabs: readonly Dab[]): Area | null {
  if (dabs.length === 0) return null;
  const left = Math.min(...dabs.map(({ x, radius }) => x - radius));
  const top = Math.min(...dabs.map(({ y, radius }) => y - radius));
  const right = Math.max(...dabs.map(({ x, radius }) => x + radius));
  const bottom = Math.max(...dabs.map(({ y, radius }) => y + radius));
  return { x: left, y: top, width: right - left, height: bottom - top };
}
