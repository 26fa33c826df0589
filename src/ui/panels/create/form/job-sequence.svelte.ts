import { toAppError } from '#protocol/error.ts';
import type { Job, JobId } from '#protocol/job.ts';
import type { Engine } from '#ui/state/engine.svelte.ts';
import type { Notices } from '#ui/state/notices.svelte.ts';

/** What is generated one after another. */
export interface Sequence {
  /** The next job; null when there is none. @throws AppError for what is missing */
  next: () => Promise<Job | null>;
  /** Hears of each job that is queued, and which are finished by then. */
  onQueued?: (job: JobId, done: readonly JobId[]) => void;
  /** Hears once that nothing more is queued, of whatever reason. `done` are the finished jobs in order. */
  onEnd?: (done: readonly JobId[]) => void;
}

/**
 * Queues jobs one by one, each when the one before is done, so that others get their turn in between. It ends when there is no
 * next one, when it is stopped, and with a job that fails or is stopped.
 */
export class JobSequence {
  readonly #engine: Engine;
  readonly #notices: Notices;
  #current = $state.raw<Sequence | null>(null);
  /** The one that the next waits for. */
  #job = $state.raw<JobId | null>(null);
  #done = $state.raw<readonly JobId[]>([]);

  constructor(engine: Engine, notices: Notices) {
    this.#engine = engine;
    this.#notices = notices;
  }

  get isOn(): boolean {
    return this.#current !== null;
  }

  /** The job that waits or runs. */
  get job(): JobId | null {
    return this.#job;
  }

  /** Jobs finished since it was started. */
  get finished(): number {
    return this.#done.length;
  }

  /** Queues the first job, unless a sequence is under way. @throws AppError for what is missing in the form */
  async start(sequence: Sequence): Promise<void> {
    if (this.#current) return;
    this.#current = sequence;
    this.#done = [];
    try {
      await this.#queueNext(sequence);
    } catch (thrown) {
      this.stop();
      throw thrown;
    }
  }

  /** Goes on with a sequence of an earlier visit, of which these were finished and this one was queued. */
  resume(sequence: Sequence, job: JobId, done: readonly JobId[]): void {
    if (this.#current) return;
    this.#current = sequence;
    this.#done = done;
    this.#job = job;
  }

  /** Nothing more is queued. The job that runs is finished. */
  stop(): void {
    const ended = this.#current;
    this.#current = null;
    this.#job = null;
    ended?.onEnd?.(this.#done);
  }

  /** Goes on when a job has ended. In an effect it runs again with every change. */
  follow(): void {
    const [job, sequence] = [this.#job, this.#current];
    if (job !== null && sequence && !this.#engine.isUnfinished(job)) void this.#continueAfter(job, sequence);
  }

  async #continueAfter(job: JobId, sequence: Sequence): Promise<void> {
    const record = await this.#engine.ask((host) => host.job(job));
    // Its first event may come after its id.
    if (this.#job !== job || record?.stage === 'queued' || record?.stage === 'running') return;
    if (record?.stage !== 'done' || record.result?.interrupted === true) {
      this.stop();
      return;
    }
    this.#job = null;
    this.#done = [...this.#done, job];
    try {
      await this.#queueNext(sequence);
    } catch (thrown) {
      this.stop();
      this.#notices.show(toAppError(thrown).message, { tone: 'error' });
    }
  }

  async #queueNext(sequence: Sequence): Promise<void> {
    const job = await sequence.next();
    // Stopped meanwhile.
    if (this.#current !== sequence) return;
    const id = job ? await this.#engine.submit(job) : undefined;
    if (this.#current !== sequence) return;
    if (id === undefined) {
      this.stop();
      return;
    }
    this.#job = id;
    sequence.onQueued?.(id, this.#done);
  }
}
