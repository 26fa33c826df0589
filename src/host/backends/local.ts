import type { EngineEvent, RunOutcome } from '#protocol/engine-worker.ts';
import type { Job } from '#protocol/job.ts';
import type { AnyPack, ModelId } from '#protocol/model.ts';
import { requirementsOf } from '#protocol/tasks.ts';
import { checkRequirements, type KnownPacks } from '#host/requirements.ts';
import type { Backend } from './backend.ts';

export interface LocalParts {
  packs: KnownPacks & { installed(): readonly AnyPack[] };
  /** Waits until a pack is installed, and downloads it first if it must. */
  bring(id: ModelId): Promise<void>;
  engine: {
    run(
      installed: readonly AnyPack[],
      job: Job,
      onEvent: (event: EngineEvent) => void,
      signal: AbortSignal,
    ): Promise<RunOutcome>;
  };
}

/** This tab's engine as a backend of the queue. */
export function createLocalBackend(parts: LocalParts): Backend {
  const { packs, engine } = parts;
  return {
    check: (job) => checkRequirements(job, packs),
    async run(job, onEvent, signal) {
      const arrivals = requirementsOf(job).map(({ id }) => parts.bring(id));
      // When the job is cancelled, the downloads go on for the next one.
      await unlessAborted(Promise.all(arrivals), signal);
      return engine.run(packs.installed(), job, (event) => void onEvent(event), signal);
    },
  };
}

/** Waits for something, or until the signal is given. It stops listening then: signals may outlive many jobs. */
async function unlessAborted(awaited: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<undefined>();
  const stop = (): void => aborted.resolve(undefined);
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop);
  try {
    await Promise.race([awaited, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
