import { expose, proxy } from 'comlink';
import { afterEach, expect, it } from 'vitest';
import type { EngineThread } from '#host/engine-process.ts';
import { createLibraryProcess } from '#host/library-process.ts';
import { carryErrorCodes } from '#protocol/error-transfer.ts';
import { AppError } from '#protocol/error.ts';
import type { LibraryWorker } from '#protocol/library-worker.ts';
import { waitFor } from '../../support/wait-for.ts';

carryErrorCodes();

const IDLE_MS = 20;
let install = Promise.withResolvers<undefined>();
let started = 0;
let ended = 0;
let cancelled = 0;

/** A library whose only install ends when the test says so. */
function startWorker(): EngineThread {
  const library: Partial<LibraryWorker> = {
    list: () => Promise.resolve([]),
    install: () => install.promise,
    cancel: () => {
      cancelled++;
      install.reject(new AppError('cancelled', 'Stopped.'));
    },
    catalogue: () => [],
  };
  const { port1, port2 } = new MessageChannel();
  expose(library, port2);
  started++;
  return Object.assign(port1, {
    terminate: () => {
      port1.close();
      ended++;
    },
  });
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

afterEach(() => {
  [started, ended, cancelled] = [0, 0, 0];
  install = Promise.withResolvers();
});

it('starts the worker for the first call, and ends it when nothing has been asked for a while', async () => {
  const library = createLibraryProcess(startWorker, IDLE_MS);
  expect(started).toBe(0);
  await library.list();
  expect([started, ended]).toEqual([1, 0]);
  await waitFor(() => expect(ended).toBe(1));

  expect(await library.catalogue()).toEqual([]);
  expect(started).toBe(2);
  await waitFor(() => expect(ended).toBe(2));
});

it('keeps it while an install runs, however long, and ends it after a failed one as well', async () => {
  const library = createLibraryProcess(startWorker, IDLE_MS);
  const installing = library.install(
    'model',
    proxy(() => undefined),
  );
  await library.list();
  await pause(3 * IDLE_MS);
  expect([started, ended]).toEqual([1, 0]);

  const stopped = expect(installing).rejects.toMatchObject({ code: 'cancelled' });
  await library.cancel('model');
  await stopped;
  expect(cancelled).toBe(1);
  await waitFor(() => expect(ended).toBe(1));
});

it('starts none to stop what does not run', async () => {
  const library = createLibraryProcess(startWorker, IDLE_MS);
  await library.cancel('model');
  expect([started, cancelled]).toEqual([0, 0]);
});
