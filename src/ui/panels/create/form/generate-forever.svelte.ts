import { toAppError } from '#protocol/error.ts';
import type { JobId } from '#protocol/job.ts';
import type { Engine } from '#ui/state/engine.svelte.ts';
import type { Notices } from '#ui/state/notices.svelte.ts';
import type { GenerateForm } from './generate-form.svelte.ts';
import { Submission } from './submission.ts';

/**
 * Generates again and again, each time with what the form says by then, until it is stopped: here, or with the job that runs.
 * A job that fails ends it too.
 */
export class GenerateForever {
  readonly #engine: Engine;
  readonly #notices: Notices;
  readonly #submission: Submission;
  #isOn = $state(false);
  /** The one that the next waits for. */
  #job = $state.raw<JobId | null>(null);
  #finished = $state(0);

  constructor(form: GenerateForm, engine: Engine, notices: Notices) {
    this.#engine = engine;
    this.#notices = notices;
    this.#submission = new Submission(form, engine);
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** Jobs finished since it was started. */
  get finished(): number {
    return this.#finished;
  }

  /** Queues the first job. @throws AppError for what is missing in the form */
  async start(): Promise<void> {
    if (this.#isOn) return;
    this.#isOn = true;
    this.#finished = 0;
    try {
      await this.#queueNext();
    } catch (thrown) {
      this.stop();
      throw thrown;
    }
  }

  /** Nothing more is queued. The job that runs is finished. */
  stop(): void {
    this.#isOn = false;
    this.#job = null;
  }

  /** Goes on when a job has ended. In an effect it runs again with every change. */
  follow(): void {
    const job = this.#job;
    if (job !== null && !this.#engine.isUnfinished(job)) void this.#continueAfter(job);
  }

  async #continueAfter(job: JobId): Promise<void> {
    const record = await this.#engine.ask((host) => host.job(job));
    // Its first event may come after its id.
    if (this.#job !== job || record?.stage === 'queued' || record?.stage === 'running') return;
    if (record?.stage !== 'done' || record.result?.interrupted === true) {
      this.stop();
      return;
    }
    this.#job = null;
    this.#finished += 1;
    try {
      await this.#queueNext();
    } catch (thrown) {
      this.stop();
      this.#notices.show(toAppError(thrown).message, { tone: 'error' });
    }
  }

  async #queueNext(): Promise<void> {
    const job = await this.#submission.makeJob();
    const id = await this.#engine.submit(job);
    if (!this.#isOn) return;
    if (id === undefined) this.stop();
    else this.#job = id;
  }
}
