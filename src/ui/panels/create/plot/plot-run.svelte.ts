import { toAppError } from '#protocol/error.ts';
import type { JobId, StoredImage } from '#protocol/job.ts';
import { factsOf } from '#protocol/tasks.ts';
import { JobSequence, type Sequence } from '#ui/panels/create/form/job-sequence.svelte.ts';
import { Submission } from '#ui/panels/create/form/submission.ts';
import type { Engine } from '#ui/state/engine.svelte.ts';
import type { Notices } from '#ui/state/notices.svelte.ts';
import type { PlannedPlot } from './plan-plot.ts';
import { PlotStore, type PlotCell, type PlotProgress, type StartedPlot } from './plot-store.ts';

/**
 * Whether a plot is this tab's: the first that asks gets it, and has it until it is closed. The browser gives a lock back with
 * the tab that held it.
 */
function isOurs(id: string): Promise<boolean> {
  return new Promise((resolve) => {
    void navigator.locks.request(`vitrine-plot-${id}`, { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      return lock === null ? undefined : new Promise(() => undefined);
    });
  });
}

/**
 * Generates the images of an X/Y/Z plot one after another, and puts them together in a grid with legends. A plot whose tab was
 * reloaded or closed goes on when the app is opened again.
 */
export class PlotRun {
  readonly #engine: Engine;
  readonly #notices: Notices;
  readonly #sequence: JobSequence;
  readonly #store = new PlotStore();
  #plot = $state.raw<StartedPlot | null>(null);

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
    if (!this.#plot) return null;
    const left = this.#plot.cells.slice(this.finished);
    return this.#engine.speeds.secondsForAll(
      left.map(({ job }) => factsOf(job).generation(job)?.passes ?? []),
    );
  }

  /** Makes the jobs of all images, and queues the first. @throws AppError for what is missing in the form */
  async start({ plot, axes, cells }: PlannedPlot): Promise<void> {
    if (this.isOn) return;
    const made: PlotCell[] = [];
    for (const { form, model, index } of cells) {
      made.push({ job: await new Submission(form, this.#engine).makeJob(model), index });
    }
    const started = { id: crypto.randomUUID(), plot, axes, cells: made };
    await isOurs(started.id);
    this.#plot = started;
    await this.#sequence.start(this.#sequenceOf(started, 0));
  }

  /** Goes on with a plot that a closed tab left behind, if there is one. Called once the host's jobs are known. */
  async resume(): Promise<void> {
    const left = await this.#store.read().catch(() => []);
    for (const { plot, progress } of left) {
      if (this.isOn) return;
      if (!(await isOurs(plot.id))) continue;
      const { job, done } = progress;
      this.#plot = plot;
      this.#sequence.resume(this.#sequenceOf(plot, done.length + 1), job, done);
    }
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

  /** The jobs of a plot from a cell on. */
  #sequenceOf(plot: StartedPlot, from: number): Sequence {
    const waiting = plot.cells.slice(from).values();
    return {
      next: () => Promise.resolve(waiting.next().value?.job ?? null),
      onQueued: (job, done) => void this.#keep(plot, { job, done }),
      onEnd: (done) => void this.#finish(plot, done),
    };
  }

  async #keep(plot: StartedPlot, progress: PlotProgress): Promise<void> {
    try {
      if (progress.done.length === 0) await this.#store.add(plot, progress);
      else await this.#store.setProgress(plot.id, progress);
    } catch {
      // A browser that keeps nothing: the plot ends with the tab.
    }
  }

  async #finish(plot: StartedPlot, done: readonly JobId[]): Promise<void> {
    this.#plot = null;
    void this.#store.remove(plot.id).catch(() => undefined);
    if (done.length === 0) return;
    try {
      const found: (StoredImage | undefined)[] = [];
      for (const id of done) found.push((await this.#engine.request((host) => host.images(id)))[0]);
      // Fetched when it is needed: most visits have no plot.
      const { gridJob } = await import('./grid-job.ts');
      await this.#engine.submit(await gridJob(plot, found));
    } catch (thrown) {
      this.#notices.show(`The grid could not be put together. ${toAppError(thrown).message}`, {
        tone: 'error',
      });
    }
  }
}
