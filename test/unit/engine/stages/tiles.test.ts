import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { decodePng, type Pixels as PngPixels } from '#codecs/png.ts';
import { openAddOns } from '#engine/models/add-ons.ts';
import { openModel, type LoadedModel, type Model } from '#engine/models/model.ts';
import { decodeLatents } from '#engine/stages/decode/decode-latents.ts';
import { encodeLatents } from '#engine/stages/init/encode-latents.ts';
import { runInTiles, runWholeOrTiled, tileSide } from '#engine/stages/pixels/tiles.ts';
import { signedPlanes } from '#imaging/a1111/img2img-result.ts';
import { createPixels, type Pixels } from '#imaging/pixels.ts';
import type { Planes } from '#imaging/planes.ts';
import type { Session } from '#engine/runtime/runtime.ts';
import { packs } from '#library/packs/index.ts';
import { AppError } from '#protocol/error.ts';
import { EMOJI_MINI, openNodeRuntime, readFrom } from '../../../support/node-engine.ts';
import { pseudoRandom } from '../../../support/random-weights.ts';
import { readReferenceImages } from '../../../support/reference-images.ts';
import { openTinyPipeline } from '../../../support/tiny-pipeline.ts';

const FIXTURES = path.resolve(import.meta.dirname, '../../../fixtures');

/** Rows of columns of one channel: the form in which the blending is easiest to write down. */
type Grid = number[][];

function planesOf(...channels: readonly Grid[]): Planes {
  const [first = []] = channels;
  return {
    channels: channels.length,
    height: first.length,
    width: first[0]?.length ?? 0,
    data: Float32Array.from(channels.flat(2)),
  };
}

function gridOf({ height, width, data }: Planes, channel = 0): Grid {
  return Array.from({ length: height }, (_, y) => {
    const start = (channel * height + y) * width;
    return [...data.subarray(start, start + width)];
  });
}

const makeGrid = (height: number, width: number, value: (y: number, x: number) => number): Grid =>
  Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) => value(y, x)));

const at = (grid: Grid, y: number, x: number) => grid.at(y)?.at(x) ?? NaN;

/** Every number becomes `factor` × `factor` of them, plus a part that depends on its place in the tile. */
const upscale = (factor: number, unevenness: number) => (tile: Planes) => {
  const grids = Array.from({ length: tile.channels }, (_, channel) => {
    const grid = gridOf(tile, channel);
    return makeGrid(
      tile.height * factor,
      tile.width * factor,
      (y, x) =>
        at(grid, Math.floor(y / factor), Math.floor(x / factor)) + unevenness * Math.sin(3 * y + 5 * x),
    );
  });
  return Promise.resolve(planesOf(...grids));
};

/** diffusers' `tiled_decode` as it is described there, on one channel, with all tiles kept. */
async function tiledByTheBook(
  latents: Grid,
  [tileIn, tileOut]: readonly [number, number],
  run: (tile: Planes) => Promise<Planes>,
): Promise<Grid> {
  const overlap = Math.floor(tileIn * 0.75);
  const blend = Math.floor(tileOut * 0.25);
  const limit = tileOut - blend;
  const tiles: Grid[][] = [];
  for (let i = 0; i < latents.length; i += overlap) {
    const row: Grid[] = [];
    for (let j = 0; j < (latents[0]?.length ?? 0); j += overlap) {
      const part = latents.slice(i, i + tileIn).map((line) => line.slice(j, j + tileIn));
      row.push(gridOf(await run(planesOf(part))));
    }
    tiles.push(row);
  }
  const image: Grid = [];
  tiles.forEach((row, i) => {
    row.forEach((tile, j) => {
      const above = tiles[i - 1]?.[j];
      if (above) {
        const extent = Math.min(above.length, tile.length, blend);
        for (let y = 0; y < extent; y++) {
          const share = y / extent;
          tile[y] = (tile[y] ?? []).map((value, x) => at(above, y - extent, x) * (1 - share) + value * share);
        }
      }
      const left = row[j - 1];
      if (left) {
        tile.forEach((line, y) => {
          const extent = Math.min(left[y]?.length ?? 0, line.length, blend);
          for (let x = 0; x < extent; x++) {
            const share = x / extent;
            line[x] = at(left, y, x - extent) * (1 - share) + (line[x] ?? NaN) * share;
          }
        });
      }
    });
    const lines = row.map((tile) => tile.slice(0, limit).map((line) => line.slice(0, limit)));
    for (let y = 0; y < (lines[0]?.length ?? 0); y++) image.push(lines.flatMap((tile) => tile[y] ?? []));
  });
  return image;
}

describe('runInTiles', () => {
  test('a network that looks at nothing but the cell gives the same in tiles as in one piece', async () => {
    const input = planesOf(
      makeGrid(21, 34, (y, x) => Math.sin(y + 0.3 * x)),
      makeGrid(21, 34, (y, x) => Math.cos(0.7 * y - x)),
    );
    const whole = await upscale(2, 0)(input);
    const tiled = await runInTiles(input, { input: 8, output: 16 }, upscale(2, 0));
    expect(tiled).toMatchObject({ channels: 2, height: 42, width: 68 });
    const apart = tiled.data.map((value, i) => Math.abs(value - (whole.data[i] ?? NaN)));
    expect(Math.max(...apart)).toBeLessThan(1e-6);
  });

  test.each([
    [16, 16],
    [8, 20],
    [21, 34],
    [25, 9],
  ])('tiles of %d × %d cells fade into each other as those of diffusers', async (height, width) => {
    const latents = makeGrid(height, width, (y, x) => Math.sin(1.3 * y * x + y));
    const expected = await tiledByTheBook(latents, [8, 32], upscale(4, 0.5));
    const tiled = await runInTiles(planesOf(latents), { input: 8, output: 32 }, upscale(4, 0.5));
    const apart = gridOf(tiled).flatMap((line, y) =>
      line.map((value, x) => Math.abs(value - at(expected, y, x))),
    );
    expect(apart).toHaveLength(16 * height * width);
    expect(Math.max(...apart)).toBeLessThan(1e-6);
  });

  test('the same network the other way round: an encoder’s tiles shrink', async () => {
    const halve = (tile: Planes) => {
      const grid = gridOf(tile);
      return Promise.resolve(
        planesOf(makeGrid(tile.height / 2, tile.width / 2, (y, x) => at(grid, 2 * y, 2 * x))),
      );
    };
    const input = planesOf(makeGrid(40, 24, (y, x) => y + 100 * x));
    const tiled = await runInTiles(input, { input: 16, output: 8 }, halve);
    expect(gridOf(tiled)).toEqual(gridOf(await halve(input)));
  });

  test('where tiles meet, one fades into the other in a straight line', async () => {
    let tiles = 0;
    const stamp = (tile: Planes) => {
      const number = tiles++;
      return Promise.resolve(planesOf(makeGrid(tile.height, tile.width, () => number)));
    };
    const { data } = await runInTiles(planesOf(makeGrid(1, 14, () => 0)), { input: 8, output: 8 }, stamp);
    // A tile each 6 cells, 2 of them shared. The last has 2 cells of its own, all of them shared.
    expect([...data.slice(0, 12)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0.5, 1, 1, 1, 1]);
  });
});

describe('a VAE whose memory gives out', async () => {
  const runtime = await openNodeRuntime();
  const opened: Model[] = [];
  afterAll(async () => {
    for (const model of opened) await model.release();
    await runtime.close();
  });

  async function load(model: Model): Promise<LoadedModel> {
    opened.push(model);
    return model.load(
      {},
      openAddOns([], () => () => Promise.resolve(undefined)),
    );
  }

  /** The same model on a machine whose VAE takes no more than a tile. */
  function inLittleMemory(model: LoadedModel): LoadedModel {
    const side = tileSide(model.pack);
    const limited = (session: Session, longest: number): Session => ({
      ...session,
      run(inputs) {
        const [height = 0, width = 0] = Object.values(inputs)[0]?.dims.slice(2) ?? [];
        if (height * width <= longest * longest) return session.run(inputs);
        throw new AppError('out_of_memory', 'Too large.');
      },
    });
    return {
      ...model,
      vaeDecoder: limited(model.vaeDecoder, side / model.pack.latent.downscale),
      vaeEncoder: async () => limited(await model.vaeEncoder(), side),
    };
  }

  const decode = (model: LoadedModel, data: Float32Array, ...[height, width]: [number, number]) =>
    decodeLatents(
      runtime,
      model,
      { type: 'float32', data, dims: [1, model.pack.latent.channels, height, width] },
      () => Promise.resolve(data),
    );

  test.each([128, 256])(
    'encodes and decodes an image as in one piece, in tiles of %d pixels',
    async (side) => {
      const model = await load(await openModel(packs['emoji-mini'], runtime, readFrom(EMOJI_MINI)));
      const small = inLittleMemory({ ...model, pack: { ...model.pack, trainedSizes: [[side, side]] } });
      const image = signedPlanes(sideBySide(readReferenceImages().map(({ png }) => decodePng(png))));
      const { mean } = await encodeLatents(runtime, model, image);
      const encoded = await encodeLatents(runtime, small, image);
      // Latents have a deviation of about 1.
      expect(difference(encoded.mean, mean).largest).toBeLessThan(0.05);
      const whole = await decode(model, mean, 16, 32);
      const tiled = await decode(small, mean, 16, 32);
      expect(difference(tiled.data, whole.data).largest).toBeLessThanOrEqual(2);
    },
  );

  test.each([64, 96])(
    'an AutoencoderKL gives the same as in one piece, in tiles of %d pixels',
    async (side) => {
      const model = await load(await openTinyPipeline(runtime, FIXTURES));
      const small = inLittleMemory({ ...model, pack: { ...model.pack, trainedSizes: [[side, side]] } });
      // Noise that is lighter and rougher from one end to the other, so that no tile is like the image.
      const noise = pseudoRandom(4 * 24 * 20).map(
        (value, i) => value * (0.2 + ((i % 20) / 20) * 2) + (i % 20) / 10,
      );
      const whole = await decode(model, noise, 24, 20);
      const tiled = await decode(small, noise, 24, 20);
      expect(tiled).toMatchObject({ width: 160, height: 192 });
      expect(difference(tiled.data, whole.data).largest).toBeLessThanOrEqual(2);
      const image = signedPlanes(whole);
      const encoded = await encodeLatents(runtime, model, image);
      const inTiles = await encodeLatents(runtime, small, image);
      expect(difference(inTiles.mean, encoded.mean).largest).toBeLessThan(0.01);
      expect(difference(inTiles.deviation ?? [], encoded.deviation ?? []).largest).toBeLessThan(0.01);
      expect(inTiles.deviation).toHaveLength(4 * 24 * 20);
    },
    120_000,
  );
});

/** Two images of one size as one. */
function sideBySide([left, right]: readonly PngPixels[]): Pixels {
  if (!left || !right) throw new Error('There are no two images.');
  const { width, height } = left;
  const both = createPixels({ width: 2 * width, height }, 3);
  for (const [index, image] of [left, right].entries()) {
    for (let pixel = 0; pixel < width * height; pixel++) {
      const from = pixel * image.channels;
      const to = Math.floor(pixel / width) * 2 * width + index * width + (pixel % width);
      both.data.set(image.data.subarray(from, from + 3), to * 3);
    }
  }
  return both;
}

function difference(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
): { mean: number; largest: number } {
  const apart = Array.from(expected, (value, i) => Math.abs(value - (actual[i] ?? NaN)));
  return {
    mean: apart.reduce((sum, value) => sum + value, 0) / apart.length,
    largest: apart.reduce((largest, value) => Math.max(largest, value), 0),
  };
}

describe('what is run whole', () => {
  const run = { whole: () => Promise.resolve('whole'), tiled: () => Promise.resolve('tiled') };

  test.each([
    [{ width: 1024, height: 1024 }, 'wasm', 'whole'],
    [{ width: 1152, height: 1024 }, 'wasm', 'tiled'],
    [{ width: 2048, height: 2048 }, 'webgpu', 'whole'],
  ] as const)('%o on %s: %s', async (size, provider, expected) => {
    expect(await runWholeOrTiled(size, provider, 512, run)).toBe(expected);
  });

  test('what is known to take little memory is run whole at any size', async () => {
    expect(await runWholeOrTiled({ width: 2048, height: 2048 }, 'wasm', 512, run, 600)).toBe('whole');
    expect(await runWholeOrTiled({ width: 2048, height: 2048 }, 'wasm', 512, run, 1200)).toBe('tiled');
  });

  test('memory that gives out is tried again in tiles, once, and only where tiles are smaller', async () => {
    const full = () => Promise.reject(new AppError('out_of_memory', 'Full.'));
    const size = { width: 768, height: 512 };
    expect(await runWholeOrTiled(size, 'webgpu', 512, { ...run, whole: full })).toBe('tiled');
    await expect(runWholeOrTiled(size, 'webgpu', 512, { whole: full, tiled: full })).rejects.toThrow('Full.');
    await expect(runWholeOrTiled(size, 'webgpu', 768, { ...run, whole: full })).rejects.toThrow('Full.');
    const lost = () => Promise.reject(new AppError('device_lost', 'Lost.'));
    await expect(runWholeOrTiled(size, 'webgpu', 512, { ...run, whole: lost })).rejects.toThrow('Lost.');
  });

  test('tiles are as large as what the model was trained on, but not larger than SD 1’s', () => {
    expect(tileSide({ trainedSizes: [[64, 64]] })).toBe(64);
    expect(
      tileSide({
        trainedSizes: [
          [1024, 1024],
          [1216, 832],
        ],
      }),
    ).toBe(512);
  });
});
