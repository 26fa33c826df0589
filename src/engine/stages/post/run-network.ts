import type { LoadedUpscaler } from '#engine/models/upscalers.ts';
import { toPlanes } from '#engine/stages/pixels/tiles.ts';
import { createPixels, type Pixels } from '#imaging/pixels.ts';
import type { BackendInfo } from '#protocol/engine-host.ts';
import { AppError } from '#protocol/error.ts';
import type { Size } from '#protocol/job.ts';
import { cutTile, placeTile, planTiles, type UpscaleTile } from './upscale-tiles.ts';

/** Pixels of an image under way or finished: 268 MB of bytes, and as much again while it becomes a file. */
const MOST_PIXELS = 8192 * 8192;

/**
 * Sides of tiles in pixels. On the CPU a tile of 64 takes seconds, and stopping a job waits for the tile; on the GPU
 * larger ones waste less on overlaps, and the network's widest tensor stays within 128 MB, the least a WebGPU binding has.
 */
const TILE_SIDE: Readonly<Record<BackendInfo['provider'], number>> = { wasm: 64, webgpu: 128 };

/** Tiles shrink to this where memory runs out. */
const SMALLEST_TILE = 32;

/** Runs something that works in tiles of a side; again with smaller ones, as long as memory runs out. */
export function createTileRunner(provider: BackendInfo['provider']) {
  let side = TILE_SIDE[provider];
  return async <T>(work: (side: number) => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        return await work(side);
      } catch (thrown) {
        const isTooLarge = thrown instanceof AppError && thrown.code === 'out_of_memory';
        if (!isTooLarge || side <= SMALLEST_TILE) throw thrown;
        side = Math.max(SMALLEST_TILE, side / 2);
      }
    }
  };
}

/** The tiles of a network's run over an image. @param side of a tile, as {@link createTileRunner} tries it */
export function planNetworkTiles(
  { sideMultiple, context, tileSide }: LoadedUpscaler,
  image: Size,
  side: number,
  provider: BackendInfo['provider'],
): UpscaleTile[] {
  const own = tileSide === undefined ? side : Math.ceil((tileSide * side) / TILE_SIDE[provider]);
  return planTiles(image, own, sideMultiple, context);
}

/** @throws AppError `invalid_request` for more pixels than there is memory for */
export function checkSize({ width, height }: Size): void {
  if (width * height <= MOST_PIXELS) return;
  const megapixels = (pixels: number) => String(Math.round(pixels / 2 ** 20));
  throw new AppError(
    'invalid_request',
    `The upscaler's output would have ${String(width)} × ${String(height)} pixels; the limit is ${megapixels(MOST_PIXELS)} megapixels. Choose a smaller size.`,
  );
}

/** @param goOn called after each tile; returns whether the job continues. @returns RGB; null when it does not */
export async function runInTiles(
  { session, factor }: LoadedUpscaler,
  image: Pixels,
  tiles: readonly UpscaleTile[],
  goOn: () => Promise<boolean>,
): Promise<Pixels | null> {
  const output = createPixels({ width: image.width * factor, height: image.height * factor }, 3);
  for (const tile of tiles) {
    const part = cutTile(image, tile);
    const { upscaled } = await session.run({
      image: { type: 'float32', data: part.data, dims: [1, part.channels, part.height, part.width] },
    });
    const planes = toPlanes(upscaled, 'upscaler');
    if (!planes.data.every(Number.isFinite))
      throw new AppError(
        'not_a_number',
        'The image came out as NaN (not a number). Try another VAE, or run on the CPU.',
      );
    placeTile(planes, tile, factor, output);
    if (!(await goOn())) return null;
  }
  return output;
}
