import type { Engine } from '#ui/state/engine.svelte.ts';
import type { Notices } from '#ui/state/notices.svelte.ts';
import type { GenerateForm } from './generate-form.svelte.ts';
import { JobSequence } from './job-sequence.svelte.ts';
import { Submission } from './submission.ts';

/**
 * Generates again and again, each time with what the form says by then, until it is stopped: here, or with the job that runs.
 * A job that fails ends it too.
 */
export class GenerateForever {
  readonly #sequence: JobSequence;
  readonly #submission: Submission;

  constructor(form: GenerateForm, engine: Engine, notices: Notices) {
    this.#sequence = new JobSequence(engine, notices);
    this.#submission = new Submission(form, engine);
  }

  get isOn(): boolean {
    return this.#sequence.isOn;
  }

  /** Jobs finished since it was started. */
  get finished(): number {
    return this.#sequence.finished;
  }

  /** Queues the first job. @throws AppError for what is missing in the form */
  async start(): Promise<void> {
    await this.#sequence.start({ next: () => this.#submission.makeJob() });
  }

  /** Nothing more is queued. The job that runs is finished. */
  stop(): void {
    this.#sequence.stop();
  }

  /** Goes on when a job has ended. In an effect it runs again with every change. */
  follow(): void {
    this.#sequence.follow();
  }
}
