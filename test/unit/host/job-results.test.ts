import { endOfRun, loadingAfter, type Loading } from '#host/job-results.ts';
import type { JobProgress, JobRecord } from '#protocol/job.ts';
import { expect, it } from 'vitest';
import { textToImage } from '../../support/jobs.ts';

/** A run that began at 1000 and told its phases at these times, in milliseconds. */
function loadingOf(...told: readonly (readonly [at: number, phase: JobProgress['phase']])[]): Loading {
  const start: Loading = { seconds: 0, since: 1000 };
  return told.reduce((loading, [at, phase]) => loadingAfter(loading, phase, at), start);
}

it('counts the time until a run no longer waits for its models', () => {
  expect(loadingOf([1500, 'loading'], [4000, 'encoding'], [4200, 'sampling'], [9000, 'decoding'])).toEqual({
    seconds: 3,
    since: null,
  });
});

it('counts the models of a later pass as well', () => {
  expect(loadingOf([2000, 'encoding'], [5000, 'loading'], [5500, 'loading'], [7000, 'sampling'])).toEqual({
    seconds: 3,
    since: null,
  });
});

it('tells the time for loading in the result, within that of the whole run', () => {
  const record: JobRecord = {
    ...{ id: 'a', origin: { client: 'app', requestKey: null }, stage: 'running', attempts: 1, error: null },
    ...{ queuedAt: 0, startedAt: Date.now() - 5000, finishedAt: null, progress: null, result: null },
    job: textToImage({ prompt: 'a red apple', seeds: [7n] }),
  };
  const { result } = endOfRun(record, { interrupted: false, notes: [] }, { seconds: 3, since: null });
  expect(result?.loadingSeconds).toBe(3);
  expect(result?.seconds).toBeGreaterThanOrEqual(5);
});
