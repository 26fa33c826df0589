import { releaseProxy, wrap, type Remote } from 'comlink';
import type { LibraryWorker } from '#protocol/library-worker.ts';
import type { Promised } from '#protocol/promised.ts';
import type { EngineThread } from './engine-process.ts';

/** The library as the host calls it. */
export type LibraryCalls = Promised<LibraryWorker>;

/**
 * The library's worker, started when something is asked of it and ended when nothing has been for a while: browsers do not
 * collect what a download leaves in the memory of a worker that does nothing any more.
 * @param idleMs how long it is kept after its last answer
 */
export function createLibraryProcess(startWorker: () => EngineThread, idleMs = 3000): LibraryCalls {
  let current: { worker: EngineThread; library: Remote<LibraryWorker> } | null = null;
  let running = 0;
  let idle: ReturnType<typeof setTimeout> | undefined;

  function open(): Remote<LibraryWorker> {
    if (current) return current.library;
    const worker = startWorker();
    current = { worker, library: wrap<LibraryWorker>(worker) };
    return current.library;
  }

  function end(): void {
    current?.library[releaseProxy]();
    current?.worker.terminate();
    current = null;
  }

  async function ask<T>(call: (library: Remote<LibraryWorker>) => Promise<T>): Promise<T> {
    clearTimeout(idle);
    running++;
    try {
      return await call(open());
    } finally {
      running--;
      if (running === 0) idle = setTimeout(end, idleMs);
    }
  }

  return {
    list: () => ask((library) => library.list()),
    install: (id, onState) => ask((library) => library.install(id, onState)),
    // Without a worker there is no install to stop.
    cancel: async (id) => current?.library.cancel(id),
    remove: (id) => ask((library) => library.remove(id)),
    inspect: (source, device) => ask((library) => library.inspect(source, device)),
    importPack: (source, choice, device, onState) =>
      ask((library) => library.importPack(source, choice, device, onState)),
    catalogue: () => ask((library) => library.catalogue()),
  };
}
