import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Runtime } from '#engine/runtime/runtime.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import { runInTiles } from '#engine/stages/post/run-network.ts';
import { planTiles } from '#engine/stages/post/upscale-tiles.ts';
import { findAddOn } from '#engine/stages/resolve/find-pack.ts';
import type { Pixels } from '#imaging/pixels.ts';
import { INCLUDED } from '#protocol/included.ts';
import { openNodeRuntime, readFrom } from '../../../support/node-engine.ts';
import { readCaseImage, runWithIncluded } from '../../../support/small-networks.ts';

const readFixtureFile = readFrom(path.resolve(import.meta.dirname, '../../../fixtures/small-networks'));

let runtime: Runtime;
let run: RunContext;
let image: Pixels;
beforeAll(async () => {
  runtime = await openNodeRuntime();
  run = runWithIncluded(runtime, readFrom(path.resolve(import.meta.dirname, '../../../../public/models')));
  image = await readCaseImage(await readFixtureFile('esrgan-slim-2x/photo.png'), 1);
});
afterAll(() => runtime.close());

it.each([
  [INCLUDED.anime4k.id, 2],
  [INCLUDED.websrPhoto.id, 2],
  [INCLUDED.esrganSlim2x.id, 2],
  [INCLUDED.esrganSlim4x.id, 4],
])('%s makes images %d times as large, the same in tiles as in one piece', async (id, factor) => {
  const [network] = await run.upscalers.load([findAddOn(run, 'upscaler', id)], run.addOns);
  if (!network) throw new Error('There is no network.');
  expect(network.factor).toBe(factor);
  const upscaled = async (side: number) => {
    const tiles = planTiles(image, side, network.sideMultiple, network.context);
    return runInTiles(network, image, tiles, () => Promise.resolve(true));
  };
  const whole = await upscaled(256);
  expect([whole?.width, whole?.height]).toEqual([image.width * factor, image.height * factor]);
  const inTiles = await upscaled(17);
  const differences = Array.from(whole?.data ?? [], (value, i) => Math.abs(value - (inTiles?.data[i] ?? 0)));
  const most = differences.reduce((largest, difference) => Math.max(largest, difference), 0);
  // Sums of floats in another order may round to the neighbouring byte.
  expect(most).toBeLessThanOrEqual(1);
});
