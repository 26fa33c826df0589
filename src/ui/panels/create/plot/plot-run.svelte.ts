import { toAppError } from '#protocol/error.ts';
import type { Job, JobId, StoredImage } from '#protocol/job.ts';
import { JobSequence } from '#ui/panels/create/form/job-sequence.svelte.ts';
import { Submission } from '#ui/panels/create/form/submission.ts';
import type { Engine } from '#ui/state/engine.svelte.ts';
import type { Notices } from '#ui/state/notices.svelte.ts';
import { secondsOfCells, type PlannedPlot } from './plan-plot.ts';

/** Generates the images of an X/Y/Z plot one after another, and puts them together in a grid with legends. */
export class PlotRun {
  readonly #engine: Engine;
  readonly #notices: Notices;
  readonly #sequence: JobSequence;
  #plot = $state.raw<PlannedPlot | null>(null);

  constructor(engine: Engine, notices: Notices) {
    this.#engine = engine;
    this.#notices = notices;
    this.#sequence = new JobSequence(engine, notices);
  }

  get isOn(): boolean {
    return this.#sequence.isOn;
  }

  /** Images finished. */
  get finished(): number {
    return this.#sequence.finished;
  }

  /** Images of the whole plot. */
  get images(): number {
    return this.#plot?.cells.length ?? 0;
  }

  /** Null where it is not known. */
  get secondsLeft(): number | null {
    return this.#plot && secondsOfCells(this.#plot.cells.slice(this.finished), this.#engine);
  }

  /** Makes the jobs of all images, and queues the first. @throws AppError for what is missing in the form */
  async start(planned: PlannedPlot): Promise<void> {
    if (this.isOn) return;
    const jobs: Job[] = [];
    for (const { form, model } of planned.cells) {
      jobs.push(await new Submission(form, this.#engine).makeJob(model));
    }
    this.#plot = planned;
    const waiting = jobs.values();
    await this.#sequence.start({
      next: () => Promise.resolve(waiting.next().value ?? null),
      onEnd: (done) => void this.#finish(planned, done),
    });
  }

  /** Ends the plot and the image that is generated. Those that are finished are put together. */
  async stop(): Promise<void> {
    const job = this.#sequence.job;
    this.#sequence.stop();
    if (job !== null) await this.#engine.cancel(job);
  }

  /** Goes on when a job has ended. In an effect it runs again with every change. */
  follow(): void {
    this.#sequence.follow();
  }

  async #finish(planned: PlannedPlot, done: readonly JobId[]): Promise<void> {
    this.#plot = null;
    if (done.length === 0) return;
    try {
      const found: (StoredImage | undefined)[] = [];
      for (const id of done) found.push((await this.#engine.request((host) => host.images(id)))[0]);
      // Fetched when it is needed: most visits have no plot.
      const { gridJob } = await import('./grid-job.ts');
      await this.#engine.submit(await gridJob(planned, found));
    } catch (thrown) {
      this.#notices.show(`The grid could not be put together. ${toAppError(thrown).message}`, {
        tone: 'error',
      });
    }
  }
}
