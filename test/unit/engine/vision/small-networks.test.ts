import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Runtime } from '#engine/runtime/runtime.ts';
import { readFixture } from '../../../support/fixtures.ts';
import { openNodeRuntime, readFrom } from '../../../support/node-engine.ts';
import {
  FACE_ANCHORS,
  runCase,
  SMALL_NETWORKS,
  type SmallNetwork,
  type SmallNetworkReference,
} from '../../../support/small-networks.ts';

const readModel = readFrom(path.resolve(import.meta.dirname, '../../../../public/models'));

let runtime: Runtime;
beforeAll(async () => {
  runtime = await openNodeRuntime();
});
afterAll(() => runtime.close());

describe.each(Object.keys(SMALL_NETWORKS) as SmallNetwork[])('%s', (name) => {
  const { tolerance, cases } = readFixture(`small-networks/${name}/reference.json`) as SmallNetworkReference;
  const readFile = readFrom(path.resolve(import.meta.dirname, '../../../fixtures/small-networks', name));

  it.each(cases)('gives what its original gives for $file', async (reference) => {
    const model = await readModel(SMALL_NETWORKS[name]);
    const session = await runtime.createSession(new Uint8Array((await model?.arrayBuffer()) ?? []));
    const { differences, faces } = await runCase(session, reference, readFile, FACE_ANCHORS[name]);
    await session.release();
    expect(Object.keys(differences).length).toBeGreaterThan(0);
    for (const [output, difference] of Object.entries(differences))
      expect(difference, output).toBeLessThanOrEqual(tolerance[output] ?? 0);
    expect(faces).toBe(reference.detections?.length ?? 0);
  });
});
