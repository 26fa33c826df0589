/** The weights of each new pixel of a row or column: taps `starts[i]` up to `starts[i + 1]`. */
export interface Taps {
  starts: Int32Array;
  /** Old pixels. */
  sources: Int32Array;
  weights: Float32Array;
}

type Tap = readonly [source: number, weight: number];

function tapsOf(count: number, make: (i: number) => readonly Tap[]): Taps {
  const taps = Array.from({ length: count }, (_, i) => make(i));
  const starts = new Int32Array(count + 1);
  for (const [i, { length }] of taps.entries()) starts[i + 1] = (starts[i] ?? 0) + length;
  const flat = taps.flat();
  return {
    starts,
    sources: Int32Array.from(flat, ([source]) => source),
    weights: Float32Array.from(flat, ([, weight]) => weight),
  };
}

const { fround } = Math;

/** Old pixels for a new one, with OpenCV's rounding: its last bit can decide where a pixel begins. */
function scaleOf(from: number, to: number): number {
  return 1 / (to / from);
}

/** What INTER_LINEAR, or INTER_AREA where one side grows (`betweenAreas`), makes `to` pixels of `from` pixels of. */
export function linearTaps(from: number, to: number, { betweenAreas = false } = {}): Taps {
  const scale = scaleOf(from, to);
  return tapsOf(to, (i) => {
    const position = betweenAreas
      ? betweenAreasPosition(i, scale, to / from)
      : fround((i + 0.5) * scale - 0.5);
    const first = Math.floor(position);
    if (first < 0) return [[0, 1]];
    if (first >= from - 1) return [[from - 1, 1]];
    const weight = fround(position - first);
    return [
      [first, fround(1 - weight)],
      [first + 1, weight],
    ];
  });
}

/** The pixel a new pixel begins in, plus how much of the new pixel is in the next one. */
function betweenAreasPosition(i: number, scale: number, inverse: number): number {
  const first = Math.floor(i * scale);
  const beyond = fround(i + 1 - (first + 1) * inverse);
  return beyond <= 0 ? first : first + beyond - Math.floor(beyond);
}

/** What INTER_CUBIC makes `to` pixels of `from` pixels of; beyond the edge the edge is repeated. */
export function cubicTaps(from: number, to: number): Taps {
  const scale = scaleOf(from, to);
  return tapsOf(to, (i) => {
    const position = fround((i + 0.5) * scale - 0.5);
    const first = Math.floor(position);
    return cubicWeights(fround(position - first)).map(
      (weight, tap) => [Math.min(Math.max(first + tap - 1, 0), from - 1), weight] as const,
    );
  });
}

/** Weights of the four pixels around a position that lies `x` after the second. */
function cubicWeights(x: number): number[] {
  const a = -0.75;
  const far = (distance: number) => ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a;
  const near = (distance: number) => ((a + 2) * distance - (a + 3)) * distance * distance + 1;
  const weights = [far(x + 1), near(x), near(1 - x)].map(fround);
  return [...weights, fround(weights.reduce((rest, weight) => rest - weight, 1))];
}

/** Parts of a pixel smaller than this are not counted. */
const NEGLIGIBLE = 1e-3;

/** What INTER_AREA makes `to` pixels of `from` pixels of, where `to` is not larger. */
export function areaTaps(from: number, to: number): Taps {
  const scale = scaleOf(from, to);
  return tapsOf(to, (i) => {
    const start = i * scale;
    const end = start + scale;
    const covered = Math.min(scale, from - start);
    const lastWhole = Math.min(Math.floor(end), from - 1);
    const firstWhole = Math.min(Math.ceil(start), lastWhole);
    const taps: Tap[] = [];
    if (firstWhole - start > NEGLIGIBLE) taps.push([firstWhole - 1, fround((firstWhole - start) / covered)]);
    for (let source = firstWhole; source < lastWhole; source++) taps.push([source, fround(1 / covered)]);
    if (end - lastWhole > NEGLIGIBLE)
      taps.push([lastWhole, fround(Math.min(end - lastWhole, 1, covered) / covered)]);
    return taps;
  });
}
