import { dilateBy, type Neighbourhood } from '#imaging/opencv/morphology.ts';
import type { Pixels } from '#imaging/pixels.ts';

/** What a white pixel's neighbours must be for it to be removed. */
interface Pattern {
  white: Neighbourhood;
  black: Neighbourhood;
}

type Rows = readonly (readonly number[])[];

/** Patterns of 3 × 3: 1 must be white, −1 black. Source: ControlNet extension scripts/lvminthin.py (Zhang 2023). */
const THINNING: readonly Rows[] = [
  [
    [-1, -1, -1],
    [0, 1, 0],
    [1, 1, 1],
  ],
  [
    [0, -1, -1],
    [1, 1, -1],
    [0, 1, 0],
  ],
];

const PRUNING: readonly Rows[] = [
  [
    [-1, -1, -1],
    [-1, 1, -1],
    [0, 0, -1],
  ],
  [
    [-1, -1, -1],
    [-1, 1, -1],
    [-1, 0, 0],
  ],
];

const MOST_ROUNDS = 32;

/**
 * Edges of 0 and 255 thinned to one pixel; then, if asked to, their ends shortened by one. Source: lvminthin.py,
 * `lvmin_thin`.
 */
export function thinEdges(edges: Pixels, prune: boolean): Pixels {
  const thinned = { ...edges, data: edges.data.slice() };
  const patterns = inAllDirections(THINNING);
  for (let round = 0; round < MOST_ROUNDS; round++) if (!removeMatches(thinned, patterns)) break;
  if (prune) removeMatches(thinned, inAllDirections(PRUNING));
  return thinned;
}

/** Each pattern, then each turned by 90° against the clock, and so on. */
function inAllDirections(patterns: readonly Rows[]): Pattern[] {
  const turned = [patterns];
  for (let turns = 1; turns < 4; turns++) turned.push((turned.at(-1) ?? []).map(turn));
  return turned.flat().map((rows) => ({ white: placesOf(rows, 1), black: placesOf(rows, -1) }));
}

function turn(rows: Rows): Rows {
  return [2, 1, 0].map((column) => rows.map((row) => row[column] ?? 0));
}

function placesOf(rows: Rows, wanted: number): Neighbourhood {
  return rows.flatMap((row, y) =>
    row.flatMap((value, x) => (value === wanted ? [[x - 1, y - 1] as const] : [])),
  );
}

/** Makes black what matches, one pattern after the other; what is outside the image matches anything. */
function removeMatches({ width, height, data }: Pixels, patterns: readonly Pattern[]): boolean {
  let removed = false;
  for (const { white, black } of patterns) {
    const matches: number[] = [];
    const allAre = (places: Neighbourhood, i: number, wanted: number) =>
      places.every(([dx, dy]) => {
        const x = (i % width) + dx;
        const y = Math.floor(i / width) + dy;
        return x < 0 || x >= width || y < 0 || y >= height || data[y * width + x] === wanted;
      });
    for (let i = 0; i < data.length; i++) {
      if (data[i] === 255 && allAre(white, i, 255) && allAre(black, i, 0)) matches.push(i);
    }
    for (const i of matches) data[i] = 0;
    removed ||= matches.length > 0;
  }
  return removed;
}

/** The four directions through a pixel, each with the pixel and its two neighbours there. */
const LINES: readonly Neighbourhood[] = [
  [
    [-1, 0],
    [0, 0],
    [1, 0],
  ],
  [
    [0, -1],
    [0, 0],
    [0, 1],
  ],
  [
    [-1, -1],
    [0, 0],
    [1, 1],
  ],
  [
    [1, -1],
    [0, 0],
    [-1, 1],
  ],
];

/** Black for all pixels that are not the lightest of three in any direction. Source: lvminthin.py, `nake_nms`. */
export function keepRidges(grey: Pixels): Pixels {
  const dilated = LINES.map((line) => dilateBy(grey, line).data);
  return {
    ...grey,
    data: grey.data.map((sample, i) => (dilated.some((lightest) => lightest[i] === sample) ? sample : 0)),
  };
}
