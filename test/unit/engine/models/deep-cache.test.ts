import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildUnet2dCondition } from '#engine/architectures/unet-2d-condition.ts';
import { externalDataOf } from '#engine/models/external-data.ts';
import { HeldFile } from '#engine/models/held-file.ts';
import { withDeepCache } from '#engine/models/deep-cache.ts';
import type { FloatTensor, Runtime, Session, TensorValue } from '#engine/runtime/runtime.ts';
import type { GraphOptions } from '#protocol/job.ts';
import { openReference } from '../../../parity/models.ts';
import { compareImages } from '../../../support/images.ts';
import { textToImage } from '../../../support/jobs.ts';
import { openNodeRuntime } from '../../../support/node-engine.ts';
import { pseudoRandom } from '../../../support/random-weights.ts';
import { tinyModel } from '../../../support/tiny-control.ts';
import { engineFor, generate } from '../../../support/tiny-packs.ts';

/* The deep layers of a UNet once in several evaluations. */

describe('a UNet', () => {
  let runtime: Runtime;
  let networks: Record<'plain' | 'whole' | 'outer', Session>;

  beforeAll(async () => {
    runtime = await openNodeRuntime();
    const { config, weights, files } = await openReference(
      path.resolve(import.meta.dirname, '../../../fixtures/models/unet-sd1'),
    );
    const held = new Map(
      Object.entries(files).map(([name, bytes]) => [name, new HeldFile(new Blob([new Uint8Array(bytes)]))]),
    );
    const open = async (deepFeature?: 'kept' | 'given') => {
      const graph = buildUnet2dCondition(config, { weights, ...(deepFeature && { deepFeature }) });
      return runtime.createSession(graph.model, {
        externalData: await externalDataOf(graph, weights, held),
      });
    };
    networks = { plain: await open(), whole: await open('kept'), outer: await open('given') };
  });
  afterAll(() => runtime.close());

  const inputs = (timestep: number, batch = 1): Record<string, TensorValue> => ({
    sample: {
      type: 'float32',
      data: pseudoRandom(batch * 4 * 16 * 16, timestep),
      dims: [batch, 4, 16, 16],
    },
    timestep: { type: 'float32', data: Float32Array.of(timestep), dims: [1] },
    encoder_hidden_states: {
      type: 'float32',
      data: pseudoRandom(batch * 77 * 32, 2),
      dims: [batch, 77, 32],
    },
  });
  const numbersOf = ({ out_sample: output }: Record<string, FloatTensor>) =>
    output?.data ?? new Float32Array();

  test('gives the same where its outermost layers are given what the deep ones gave', async () => {
    const { out_sample, deep_feature, ...others } = await networks.whole.run(inputs(500));
    expect(others).toEqual({});
    expect(out_sample).toEqual((await networks.plain.run(inputs(500))).out_sample);
    if (!deep_feature) throw new Error('There is no feature.');
    const given = { ...inputs(500), deep_feature: { type: 'float32' as const, ...deep_feature } };
    expect(numbersOf(await networks.outer.run(given))).toEqual(out_sample?.data);
  });

  test('runs whole every other time, and in each of the runs that one evaluation takes', async () => {
    const cached = withDeepCache(networks, 2, null, new Map());
    expect([cached.inputNames, cached.outputNames]).toEqual([
      networks.plain.inputNames,
      networks.plain.outputNames,
    ]);
    const isWhole = async (timestep: number, batch = 1) => {
      const given = inputs(timestep, batch);
      const [made, plain] = [numbersOf(await cached.run(given)), numbersOf(await networks.plain.run(given))];
      expect(made).toHaveLength(plain.length);
      return made.every((value, i) => value === plain[i]);
    };
    const whole: boolean[] = [];
    // Two runs of one timestep are two rows of guidance; a higher timestep is the next image, another batch has no feature.
    for (const [timestep, batch] of [
      [900],
      [900],
      [800],
      [800],
      [700],
      [600],
      [900],
      [800],
      [700, 2],
      [600],
    ]) {
      whole.push(await isWhole(timestep ?? 0, batch));
    }
    expect(whole).toEqual([true, true, false, false, true, false, true, false, true, true]);
  });
});

test('a job may ask for it: another image, near the exact one, and the same where one step has nothing to reuse', async () => {
  const model = await tinyModel();
  const engine = engineFor([model]);
  const imageWith = async (graph: GraphOptions, steps: number) => {
    const job = textToImage({ prompt: 'hills', seeds: [1n], steps, width: 64, height: 64, graph });
    const { pngs, notes } = await generate(engine, model, job);
    expect(notes).toEqual([]);
    return pngs[0] ?? new Uint8Array();
  };
  const exact = await imageWith({}, 6);
  const [second, fifth] = [await imageWith({ deepCache: 2 }, 6), await imageWith({ deepCache: 5 }, 6)];
  expect(second).not.toEqual(exact);
  expect(compareImages(second, exact).mean).toBeLessThan(compareImages(fifth, exact).mean);
  expect(await imageWith({ deepCache: 2 }, 1)).toEqual(await imageWith({}, 1));
  expect(await imageWith({}, 6)).toEqual(exact);
  await engine.unload();
});
