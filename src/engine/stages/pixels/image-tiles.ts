import type { Session } from '#engine/runtime/runtime.ts';
import { cropPlanes } from '#imaging/a1111/hires.ts';
import { createPlanes, type Planes } from '#imaging/planes.ts';
import { AppError } from '#protocol/error.ts';
import { paste, toPlanes } from './tiles.ts';

/** By how much of a deviation statistics may still change once they count as those of the image: less than a level of 8 bits. */
const SETTLED = 2e-3;

/** The outer part of a VAE's half, and how it is run. */
export interface OuterPart {
  session: Session;
  /** Names of what goes through it. */
  input: string;
  output: string;
  /** Cells around a tile that it depends on. */
  reach: number;
  /** Cells of a tile's side, those around it included. */
  side: number;
  /** How many pixels or numbers a cell is wide before and after it. */
  cell: { input: number; output: number };
}

/** Rows and columns of cells, the ends not included. */
interface Area {
  y1: number;
  x1: number;
  y2: number;
  x2: number;
}

/** A tile: what it shows, and that with what is around it. */
interface Tile {
  own: Area;
  seen: Area;
}

/**
 * Runs the outer part of a VAE over an image tile by tile, so that the result is that of one piece, whatever the size of the
 * tiles. Each sees all that its pixels depend on but the statistics of the group norms, which are the whole image's: they are
 * measured in the tiles and put together. Those of a norm are right once those of the norms before it are, so there are at most
 * as many passes over all tiles as there are norms, and one more; fewer where nothing changes any more. To give norms the
 * statistics of the whole image is the idea of pkuliyi2015's Tiled VAE (multidiffusion-upscaler-for-automatic1111,
 * scripts/tilevae.py), which estimates them on a smaller image, or keeps all tiles between two norms.
 * @param image what goes in: the hidden cells of a decoder, or the pixels of an encoder's image
 * @throws AppError `integrity_failed`, and what the runtime throws
 */
export async function runOuterPart(image: Planes, part: OuterPart): Promise<Planes> {
  const { session, cell } = part;
  const [norms, groups] = session.outputDims('measured').map(Number);
  if (norms === undefined || groups === undefined)
    throw new AppError('integrity_failed', 'The VAE’s outer part measures nothing.');
  const size = { height: image.height / cell.input, width: image.width / cell.input };
  const tiles = tilesOf(size, part);
  const shape = [norms, groups, 2];
  let differences = tiles.map(() => Float32Array.from({ length: norms * groups * 2 }, (_, i) => i % 2));
  for (let pass = 1; ; pass++) {
    const measured: Statistics[] = [];
    let result: Planes | undefined;
    for (const [index, tile] of tiles.entries()) {
      const outputs = await runTile(image, tile, part, {
        data: differences[index] ?? new Float32Array(),
        shape,
      });
      const made = toPlanes(outputs[part.output], 'VAE');
      result ??= createPlanes({
        channels: made.channels,
        height: size.height * cell.output,
        width: size.width * cell.output,
      });
      const own = cropPlanes(made, marginsOf(tile.own, tile.seen, cell.output));
      paste(own, result, tile.own.y1 * cell.output, tile.own.x1 * cell.output);
      const area = (tile.own.y2 - tile.own.y1) * (tile.own.x2 - tile.own.x1);
      measured.push({
        data: outputs['measured']?.data ?? new Float32Array(),
        share: area / (size.height * size.width),
      });
    }
    if (!result) throw new AppError('internal', 'There are no tiles to run.');
    const before = differences;
    differences = differencesOf(measured);
    const change = Math.max(...differences.map((own, i) => largestChange(own, before[i] ?? own)));
    if (pass > norms || change < SETTLED) return result;
  }
}

/** Mean and deviation of every group of every norm, and the tile's share of the image. */
interface Statistics {
  data: Float32Array;
  share: number;
}

/** How the image's statistics differ from each tile's, see {@link TileNorms}. */
function differencesOf(tiles: readonly Statistics[]): Float32Array<ArrayBuffer>[] {
  const results = tiles.map(({ data }) => new Float32Array(data.length));
  for (let i = 0; i < (tiles[0]?.data.length ?? 0); i += 2) {
    let [mean, square] = [0, 0];
    for (const { data, share } of tiles) {
      const [m = 0, d = 0] = data.subarray(i, i + 2);
      mean += share * m;
      square += share * (m * m + d * d);
    }
    const deviation = Math.sqrt(Math.max(0, square - mean * mean));
    for (const [index, { data }] of tiles.entries()) {
      const [m = 0, d = 1] = data.subarray(i, i + 2);
      results[index]?.set([(mean - m) / d, deviation / d], i);
    }
  }
  return results;
}

function largestChange(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? 0))), 0);
}

function tilesOf({ height, width }: { height: number; width: number }, { reach, side }: OuterPart): Tile[] {
  // Where tiles are hardly larger than what their pixels depend on, a quarter of a side is their own.
  const margin = Math.min(reach, Math.floor((side * 3) / 8));
  const step = side - 2 * margin;
  const tiles: Tile[] = [];
  for (let y1 = 0; y1 < height; y1 += step) {
    for (let x1 = 0; x1 < width; x1 += step) {
      const own = { y1, x1, y2: Math.min(y1 + step, height), x2: Math.min(x1 + step, width) };
      // All of one size: a GPU compiles its shaders once.
      const top = Math.max(0, Math.min(y1 - margin, height - side));
      const left = Math.max(0, Math.min(x1 - margin, width - side));
      const [y2, x2] = [Math.min(top + side, height), Math.min(left + side, width)];
      tiles.push({ own, seen: { y1: top, x1: left, y2, x2 } });
    }
  }
  return tiles;
}

/** One run, with what is known of how the image's statistics differ from the tile's. */
async function runTile(
  image: Planes,
  { own, seen }: Tile,
  { session, input, cell }: OuterPart,
  { data, shape }: { data: Float32Array; shape: readonly number[] },
) {
  const whole = { y1: 0, x1: 0, y2: image.height / cell.input, x2: image.width / cell.input };
  const part = cropPlanes(image, marginsOf(seen, whole, cell.input));
  const [height, width] = [seen.y2 - seen.y1, seen.x2 - seen.x1];
  const mask = createPlanes({ channels: 1, height, width });
  for (let y = own.y1; y < own.y2; y++) {
    const start = (y - seen.y1) * width - seen.x1;
    mask.data.fill(1, start + own.x1, start + own.x2);
  }
  const float32 = (values: Float32Array, dims: readonly number[]) =>
    ({ type: 'float32', data: values, dims }) as const;
  return session.run({
    [input]: float32(part.data, [1, part.channels, part.height, part.width]),
    own: float32(mask.data, [1, 1, height, width]),
    differences: float32(data, shape),
  });
}

/** What lies around an area within another. @param cell pixels of a cell's side */
function marginsOf(inner: Area, outer: Area, cell: number) {
  return {
    top: (inner.y1 - outer.y1) * cell,
    left: (inner.x1 - outer.x1) * cell,
    bottom: (outer.y2 - inner.y2) * cell,
    right: (outer.x2 - inner.x2) * cell,
  };
}
