import type { FloatTensor, TensorValue } from '#engine/runtime/runtime.ts';
import { createPlanes, type Planes } from '#imaging/planes.ts';
import type { BackendInfo } from '#protocol/engine-host.ts';
import { AppError } from '#protocol/error.ts';
import type { ModelPack } from '#protocol/model.ts';

/** A network's output as an image. @throws AppError `integrity_failed`, in words that name the network */
export function toPlanes(output: FloatTensor | undefined, network: string): Planes {
  const [, channels, height, width] = output?.dims ?? [];
  if (!output || channels === undefined || height === undefined || width === undefined) {
    throw new AppError('integrity_failed', `The ${network}’s output is not an image.`);
  }
  return { channels, height, width, data: output.data };
}

/** An image as what a network is given. */
export function tensorOf({ channels, height, width, data }: Planes): TensorValue {
  return { type: 'float32', data, dims: [1, channels, height, width] };
}

/** Sides of a tile before and after the network. */
export interface TileSize {
  input: number;
  output: number;
  /** Rows and columns of its output beside other tiles where it shows that nothing was there: they are not used. */
  edge?: number;
}

/**
 * Latent cells at a tile's edge that convolutions make otherwise than in one piece. Of a VAE without norms, as the built-in
 * model's, what is left is the same within 1/255. Group norms see the tile for the image: where the engine writes the graphs, image-tiles.ts
 * has another way.
 */
export const EDGE_CELLS = 3;

/** Bytes that a VAE's images may take in one piece on the wasm provider, whose memory ends at 4 GB. */
const MOST_BYTES_ON_WASM = 3 * 2 ** 30;

/** Memory that the VAE of SD 1 and SDXL takes for a pixel in one piece; others that are not known count as it. */
const SD_BYTES_PER_PIXEL = 3072;

/** SD 1's tile. SDXL's own, 1024, would need as much as the images that did not fit. */
const LARGEST_TILE = 512;

/** Of a tile's side: what it shares with its neighbour. `tile_overlap_factor` of diffusers' AutoencoderKL. */
const OVERLAP = 0.25;

/** Pixels of a tile's side: what the VAE was trained on, within limits. */
export function tileSide({ trainedSizes }: Pick<ModelPack, 'trainedSizes'>): number {
  return Math.min(LARGEST_TILE, Math.max(...trainedSizes.flat()));
}

/**
 * Runs a VAE pass over an image of so many pixels in one piece where that fits, and else in tiles.
 * @param side pixels of a tile's side
 * @param bytesPerPixel memory that one piece takes
 */
export async function runWholeOrTiled<T>(
  { width, height }: { width: number; height: number },
  provider: BackendInfo['provider'],
  side: number,
  run: { whole: () => Promise<T>; tiled: () => Promise<T> },
  bytesPerPixel = SD_BYTES_PER_PIXEL,
): Promise<T> {
  if (width <= side && height <= side) return run.whole();
  if (provider === 'wasm' && width * height * bytesPerPixel > MOST_BYTES_ON_WASM) return run.tiled();
  return inLessMemory(run.whole, run.tiled);
}

/** Tries one way and, where its memory gives out, another that takes less. */
export async function inLessMemory<T>(first: () => Promise<T>, then: () => Promise<T>): Promise<T> {
  try {
    return await first();
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === 'out_of_memory') return then();
    throw thrown;
  }
}

/**
 * Runs a network tile by tile. Neighbours overlap by a quarter or more and fade linearly into each other, except at their edges.
 * Source: diffusers, models/autoencoders/autoencoder_kl.py, `tiled_decode` and `_tiled_encode`.
 */
export async function runInTiles(
  input: Planes,
  tile: TileSize,
  run: (part: Planes) => Promise<Planes>,
): Promise<Planes> {
  const scale = tile.output / tile.input;
  const fade = Math.max(Math.floor(tile.output * OVERLAP), 2 * (tile.edge ?? 0));
  const stride = Math.floor(Math.min(tile.input * (1 - OVERLAP), tile.input - fade / scale));
  const height = Math.round(input.height * scale);
  const width = Math.round(input.width * scale);
  let output: Planes | undefined;
  let above: Planes[] = [];
  for (let top = 0; top < input.height; top += stride) {
    const row: Planes[] = [];
    for (let left = 0; left < input.width; left += stride) {
      const part = await run(cut(input, top, left, tile.input));
      output ??= createPlanes({ channels: part.channels, height, width });
      const [over, before] = [above[row.length], row.at(-1)];
      if (over) fadeDown(over, part, fade, tile.edge);
      if (before) fadeRight(before, part, fade, tile.edge);
      // The next tile covers the rest.
      paste(part, output, Math.round(top * scale), Math.round(left * scale), tile.output - fade);
      row.push(part);
    }
    above = row;
  }
  if (!output) throw new AppError('internal', 'There are no tiles to run.');
  return output;
}

/** A square of an image, smaller at its right and lower edges. */
function cut(from: Planes, top: number, left: number, side: number): Planes {
  const height = Math.min(side, from.height - top);
  const width = Math.min(side, from.width - left);
  const data = new Float32Array(from.channels * height * width);
  for (let line = 0; line < from.channels * height; line++) {
    const channel = Math.floor(line / height);
    const start = (channel * from.height + top + (line % height)) * from.width + left;
    data.set(from.data.subarray(start, start + width), line * width);
  }
  return { channels: from.channels, height, width, data };
}

/** Copies a tile, or the first `limit` of its rows and columns, to its place. */
export function paste(tile: Planes, to: Planes, top: number, left: number, limit = Infinity): void {
  const rows = Math.min(limit, tile.height);
  const columns = Math.min(limit, tile.width);
  for (let channel = 0; channel < tile.channels; channel++) {
    for (let y = 0; y < rows; y++) {
      const start = (channel * tile.height + y) * tile.width;
      const place = (channel * to.height + top + y) * to.width + left;
      to.data.set(tile.data.subarray(start, start + columns), place);
    }
  }
}

/** Lets the last rows of the tile above fade into the first ones of a tile. */
function fadeDown(above: Planes, tile: Planes, extent: number, edge: number | undefined): void {
  const rows = Math.min(above.height, tile.height, extent);
  const { width } = tile;
  for (let channel = 0; channel < tile.channels; channel++) {
    for (let y = 0; y < rows; y++) {
      const from = (channel * above.height + above.height - rows + y) * width;
      const to = (channel * tile.height + y) * width;
      const share = shareOf(y, rows, extent, edge);
      for (let x = 0; x < width; x++) {
        tile.data[to + x] = (1 - share) * (above.data[from + x] ?? 0) + share * (tile.data[to + x] ?? 0);
      }
    }
  }
}

/** Lets the last columns of the tile before fade into the first ones of a tile. */
function fadeRight(before: Planes, tile: Planes, extent: number, edge: number | undefined): void {
  const columns = Math.min(before.width, tile.width, extent);
  for (let line = 0; line < tile.channels * tile.height; line++) {
    const from = line * before.width + before.width - columns;
    const to = line * tile.width;
    for (let x = 0; x < columns; x++) {
      const share = shareOf(x, columns, extent, edge);
      tile.data[to + x] = (1 - share) * (before.data[from + x] ?? 0) + share * (tile.data[to + x] ?? 0);
    }
  }
}

/** How much of a tile is seen in line `index` of `lines` that it shares with the one before, of `extent` as a rule. */
function shareOf(index: number, lines: number, extent: number, edge = 0): number {
  if (edge === 0) return index / lines;
  // A last tile that is all shared knows less of the image than the one before, which also reaches its end.
  if (lines < extent) return 0;
  const outer = Math.min(edge, Math.floor(lines / 2));
  if (index < outer) return 0;
  return index >= lines - outer ? 1 : (index - outer + 0.5) / (lines - 2 * outer);
}
