import type { BackendEvent } from '#protocol/backends.ts';
import type { RunOutcome } from '#protocol/engine-worker.ts';
import type { Job } from '#protocol/job.ts';

/** Something that runs jobs, one at a time. The queue knows no other difference between backends than what is asked here. */
export interface Backend {
  /** @throws AppError why it cannot run this job; called before the job is queued */
  check(job: Job): void;
  /**
   * Runs a job.
   * @param onEvent its promise is to be awaited for `sent`: only then does a later tab know of it
   * @param signal aborting it ends the run before its next step, or cancels it where it was sent to
   * @param sent the ids under which an earlier tab has sent parts of the job; empty for a backend on this machine
   */
  run(
    job: Job,
    onEvent: (event: BackendEvent) => void | Promise<void>,
    signal: AbortSignal,
    sent: readonly string[],
  ): Promise<RunOutcome>;
}
