import { expect, it } from 'vitest';
import { arrivalOf, awaitedOf, describeArrival } from '#protocol/arrivals.ts';
import { INCLUDED } from '#protocol/included.ts';
import type { Job } from '#protocol/job.ts';
import type { ModelState } from '#protocol/model.ts';
import { testAddOn } from '../../support/fake-host.ts';

const faces = testAddOn(INCLUDED.faces.kind, INCLUDED.faces.id);
const inState = (state: ModelState) => ({ ...faces, state });
const job: Job = { task: 'find-mask', image: new Blob(), finder: { kind: 'faces' } };

it.each<[ModelState, string]>([
  [
    { stage: 'downloading', receivedBytes: 43.9, totalBytes: 100, bytesPerSecond: null },
    `Downloading ${faces.pack.title}: 43 %`,
  ],
  [
    { stage: 'downloading', receivedBytes: 0, totalBytes: 0, bytesPerSecond: null },
    `Downloading ${faces.pack.title}`,
  ],
  [{ stage: 'verifying', file: 'a.onnx' }, `Checking ${faces.pack.title}`],
  [{ stage: 'quantising', doneBytes: 1, totalBytes: 4 }, `Quantising ${faces.pack.title}: 25 %`],
  [{ stage: 'absent' }, `Waiting for ${faces.pack.title}`],
])('%j is said as %s', (state, text) => {
  const [awaited] = awaitedOf({ job }, [inState(state), testAddOn('finder', 'other')]);
  expect(awaited && describeArrival(arrivalOf(awaited))).toBe(text);
});

it('is nothing for what is here, and for a job that can run elsewhere', () => {
  expect(awaitedOf({ job }, [inState({ stage: 'installed', installedAt: 0 })])).toEqual([]);
  expect(awaitedOf({ job, backends: ['local', 'horde'] }, [inState({ stage: 'absent' })])).toEqual([]);
});
