import { createEngineProcess } from '#host/engine-process.ts';
import { packs } from '#library/packs/index.ts';
import type { BackendInfo } from '#protocol/engine-host.ts';
import type { BackendChoice } from '#protocol/engine-worker.ts';
import { carryErrorCodes } from '#protocol/error-transfer.ts';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { textToImage } from '../../support/jobs.ts';
import { threads, ThreadWorker } from '../../support/thread-worker.ts';

const pack = packs['emoji-mini'];
beforeAll(carryErrorCodes);

afterEach(async () => {
  await Promise.all(threads.splice(0).map((thread) => thread.terminate()));
});

function openProcess(choice: () => BackendChoice = () => 'auto', stopWithinMs?: number) {
  const backends: BackendInfo[] = [];
  const process = createEngineProcess(
    () => new ThreadWorker(),
    choice,
    (backend) => backends.push(backend),
    stopWithinMs,
  );
  return {
    process,
    backends,
    /** Runs a job; `begun` resolves with the thread that runs it. */
    run: (prompt: string, signal: AbortSignal = new AbortController().signal) => {
      const begun = Promise.withResolvers<string>();
      const outcome = process.run(
        [pack],
        textToImage({ prompt, seeds: [1n] }),
        (event) => {
          if (event.type === 'preview') begun.resolve(`thread ${event.preview.width - 1}`);
        },
        signal,
      );
      // Looked at later than it may fail.
      outcome.catch(() => undefined);
      return { outcome, begun: begun.promise };
    },
  };
}

it('starts its worker when it is first needed, and once', async () => {
  const { process, backends, run } = openProcess();
  await process.unload();
  await process.skip();
  const texts = { prompt: 'a red apple', negativePrompt: '' };
  expect(await process.countTokens(pack, [], texts)).toBe(null);
  expect(threads).toHaveLength(0);
  await process.load(pack);
  expect(await run('finish').outcome).toEqual({ interrupted: false, notes: [] });
  const sampler = { family: 'diffusers', scheduler: 'DDIMScheduler', config: {} } as const;
  expect((await process.samplingPlan(pack, sampler, 7)).evaluations).toBe(7);
  expect(await process.countTokens(pack, [], texts)).toMatchObject({ prompt: { tokens: 3, length: 75 } });
  expect(threads).toHaveLength(1);
  expect(backends).toEqual([{ provider: 'wasm', build: 'wasm', description: 'thread 0', float16: false }]);
});

it('stops a job that is cancelled and goes on with the same worker', async () => {
  const { run } = openProcess();
  const leaving = new AbortController();
  const { outcome, begun } = run('wait', leaving.signal);
  await begun;
  leaving.abort();
  expect(await outcome).toEqual({ interrupted: true, notes: [] });
  expect(await run('finish').begun).toBe('thread 0');
});

it('does not begin a job that is cancelled before', async () => {
  const { run } = openProcess();
  await expect(run('finish', AbortSignal.abort()).outcome).rejects.toMatchObject({ code: 'cancelled' });
});

it('ends the worker of a job that does not stop in time', async () => {
  const { run } = openProcess(() => 'auto', 50);
  const leaving = new AbortController();
  const { outcome, begun } = run('deaf', leaving.signal);
  await begun;
  leaving.abort();
  await expect(outcome).rejects.toMatchObject({ code: 'cancelled' });
  expect(await run('finish').begun).toBe('thread 1');
});

it.each([
  ['crash', 'engine_crashed', 'The engine stopped: memory access out of bounds.'],
  ['out_of_memory', 'out_of_memory', 'It is out_of_memory.'],
])('ends a job with an error on %s; the next one runs in a new worker', async (prompt, code, message) => {
  const { backends, run } = openProcess();
  const leaving = new AbortController();
  await expect(run(prompt, leaving.signal).outcome).rejects.toMatchObject({ code, message });
  const next = run('finish');
  expect(await next.begun).toBe('thread 1');
  expect(await next.outcome).toEqual({ interrupted: false, notes: [] });
  expect(backends).toHaveLength(2);
  // Nobody is there any more to be told.
  leaving.abort();
});

it('keeps the worker after an error of the job alone', async () => {
  const { run } = openProcess();
  await expect(run('invalid_request').outcome).rejects.toMatchObject({ code: 'invalid_request' });
  expect(await run('finish').begun).toBe('thread 0');
});

it('says why it does not start, and tries again with the backend then chosen', async () => {
  let choice: BackendChoice = 'webgpu';
  const { backends, run } = openProcess(() => choice);
  await expect(run('finish').outcome).rejects.toMatchObject({ code: 'unsupported_feature' });
  choice = 'wasm';
  expect(await run('finish').begun).toBe('thread 1');
  expect(backends).toHaveLength(1);
});

it('ends the running job when it is restarted', async () => {
  const { process, run } = openProcess();
  const { outcome, begun } = run('wait');
  await begun;
  process.restart();
  await expect(outcome).rejects.toMatchObject({ code: 'engine_crashed' });
  expect(await run('finish').begun).toBe('thread 1');
});
