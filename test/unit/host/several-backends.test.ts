import type { Backend } from '#host/backends/backend.ts';
import { createHordeBackend } from '#host/backends/horde/backend.ts';
import { createEngineProcess, type EngineThread } from '#host/engine-process.ts';
import { createFinishedImages } from '#host/finished-images.ts';
import { createJobQueue } from '#host/job-queue.ts';
import { AppError } from '#protocol/error.ts';
import { imagesOf, type JobRecord } from '#protocol/job.ts';
import { openImageMarks } from '#storage/image-marks.ts';
import { openImages } from '#storage/images.ts';
import { openJobs } from '#storage/jobs.ts';
import { expect, it } from 'vitest';
import { FakeEngine } from '../../support/fake-engine.ts';
import { TEST_MODEL } from '../../support/fake-host.ts';
import { serveHorde, startHorde, type HordeCall, type HordeFault } from '../../support/horde-server.ts';
import { textToImage } from '../../support/jobs.ts';

const JOBS = 200;

/** A generator of faults: the same in every run, and of every kind. */
function faultsOf(seed: number): (call: HordeCall) => HordeFault | undefined {
  const kinds: readonly HordeFault[] = [
    'drop',
    'drop after',
    'broken JSON',
    { status: 502, body: '<html>Bad gateway</html>' },
    { status: 503 },
    { status: 429, headers: { 'Retry-After': '0' }, body: { message: 'too fast' } },
  ];
  let state = seed;
  return ({ kind }) => {
    // Numerical Recipes' linear congruential generator.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const fault = state >>> 28 < 3 ? kinds[(state >>> 20) % kinds.length] : undefined;
    return kind === 'image' && fault === 'broken JSON' ? undefined : fault;
  };
}

it('runs 200 jobs on three services and this tab side by side, and each ends exactly once whatever goes wrong', async () => {
  const hordes = await Promise.all(
    [1, 2, 3].map((seed) =>
      serveHorde({
        checks: 2,
        fault: faultsOf(seed),
        // Every eleventh request fails there.
        stateOf: ({ payload }) => ({ faulted: Number(payload.params.seed) % 11 === 0 }),
      }),
    ),
  );
  const threads: EngineThread[] = [];
  const facts = {
    checkAllowed: () => undefined,
    options: () => ({ model: 'stable_diffusion', nsfw: false, trustedWorkers: false }),
    civitaiVersions: () => ({}),
  };
  const engine = new FakeEngine({
    stepMs: 2,
    failure: (job) =>
      job.task === 'generate' && Number(job.images[0]?.seed) % 11 === 0
        ? new AppError('not_a_number', 'It was not a number.')
        : undefined,
  });
  const process = createEngineProcess(
    () => engine.startThread(),
    () => 'auto',
    () => undefined,
  );
  const backends: Record<string, Pick<Backend, 'run'>> = {
    local: {
      run: (job, onEvent, signal) =>
        process.run([TEST_MODEL.pack], job, (event) => void onEvent(event), signal),
    },
  };
  for (const [index, { address }] of hordes.entries()) {
    const start = () => {
      const thread = startHorde(address, {
        patience: { pollMs: 2, retryMs: 2, giveUpAfterMs: 20_000, impossibleForMs: 1_000 },
      });
      threads.push(thread);
      return thread;
    };
    backends[`horde ${String(index + 1)}`] = createHordeBackend(start, facts);
  }

  const [jobs, stored] = [openJobs('several-jobs'), openImages('several-images')];
  const images = createFinishedImages(stored, openImageMarks('several-marks'), () => undefined);
  const ended: JobRecord[] = [];
  const begun = new Map<string, string[]>();
  const queue = createJobQueue(
    jobs,
    images,
    { backends, choose: () => Object.keys(backends), ended: (record) => ended.push(record) },
    (event) => {
      if (event.type !== 'record' || event.record.stage !== 'running') return;
      const { id, backend = '' } = event.record;
      const order = begun.get(backend) ?? [];
      begun.set(backend, order);
      if (order.at(-1) !== id) order.push(id);
    },
  );

  const idOf = (index: number) => String(index).padStart(3, '0');
  const submit = async (index: number): Promise<void> => {
    const job = textToImage({
      prompt: 'a red apple',
      seeds: [BigInt(index + 1)],
      width: 64,
      height: 64,
      steps: 1,
    });
    await queue.submit(idOf(index), job, { client: 'app', requestKey: null });
  };
  // The queue holds 100 jobs: the rest comes as there is room.
  for (let index = 0; index < JOBS; index++) {
    while ((await queue.unfinished()).length >= 100)
      await Promise.race((await queue.unfinished()).map(({ id }) => queue.wait(id)));
    await submit(index);
  }
  const records = await Promise.all(Array.from({ length: JOBS }, (_, index) => queue.wait(idOf(index))));

  expect(ended.map(({ id }) => id).sort()).toEqual(records.map(({ id }) => id));
  for (const [index, record] of records.entries()) {
    const seed = BigInt(index + 1);
    if (seed % 11n === 0n) {
      expect(record.stage).toBe('failed');
      continue;
    }
    expect(record).toMatchObject({ stage: 'done', error: null });
    expect(imagesOf(record.result).map((image) => image.seed)).toEqual([seed]);
    expect(await images.ofJob(record.id)).toHaveLength(1);
  }
  // Each backend took its jobs in the order they came, and every one of them worked.
  expect([...begun.keys()].sort()).toEqual(Object.keys(backends).sort());
  for (const order of begun.values()) expect(order).toEqual([...order].sort());
  expect([...begun.values()].flat().sort()).toEqual(records.map(({ id }) => id));

  for (const thread of threads) thread.terminate();
  await Promise.all(hordes.map((horde) => horde.close()));
});
