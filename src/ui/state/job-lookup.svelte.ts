import type { JobId, JobRecord } from '#protocol/job.ts';
import type { Engine } from './engine.svelte.ts';

/** The job of an image on show: fetched from the host when it is first needed. Made while a component is. */
export class JobLookup {
  #record = $state.raw<JobRecord | null>(null);

  /** @param jobId whose job; undefined while there is no image */
  constructor(engine: Engine, jobId: () => JobId | undefined) {
    $effect(() => {
      const id = jobId();
      if (id === undefined) return undefined;
      let isCurrent = true;
      void engine
        .ask((host) => host.job(id))
        .then((record) => {
          if (isCurrent) this.#record = record ?? null;
        });
      return () => {
        isCurrent = false;
        this.#record = null;
      };
    });
  }

  /** Null until it is known. */
  get record(): JobRecord | null {
    return this.#record;
  }
}
