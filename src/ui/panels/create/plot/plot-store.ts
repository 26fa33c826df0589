import { delMany, getMany, keys, set, setMany, type UseStore } from 'idb-keyval';
import type { XyzPlot } from '#imaging/a1111/scripts/xyz-plot.ts';
import type { Job, JobId } from '#protocol/job.ts';
import { openFormStore } from '#ui/panels/create/form/form-store.ts';
import type { PlotAxes } from './plan-plot.ts';

/** An image of a plot: its job, and its place among the images, columns first, then rows, then grids. */
export interface PlotCell {
  job: Job;
  index: number;
}

/** A plot that has begun. */
export interface StartedPlot {
  id: string;
  plot: XyzPlot;
  axes: PlotAxes;
  /** In the order in which they are generated. */
  cells: readonly PlotCell[];
}

/** How far a plot is. */
export interface PlotProgress {
  /** The job that was queued last. */
  job: JobId;
  /** Those before it. */
  done: readonly JobId[];
}

/** A plot that a closed tab left behind. */
interface LeftPlot {
  plot: StartedPlot;
  progress: PlotProgress;
}

const PLOT = 'plot ';
const PROGRESS = 'plot-progress ';

/**
 * Plots under way, kept so that a reload or a crash does not end them. Their jobs are written once; only how far they are is
 * written with each image.
 */
export class PlotStore {
  readonly #store: UseStore = openFormStore();

  /** A plot has begun: its first job is queued. */
  async add(plot: StartedPlot, progress: PlotProgress): Promise<void> {
    await setMany(
      [
        [PLOT + plot.id, plot],
        [PROGRESS + plot.id, progress],
      ],
      this.#store,
    );
  }

  /** One more of its jobs is queued. */
  async setProgress(id: string, progress: PlotProgress): Promise<void> {
    await set(PROGRESS + id, progress, this.#store);
  }

  /** A plot has ended. */
  async remove(id: string): Promise<void> {
    await delMany([PLOT + id, PROGRESS + id], this.#store);
  }

  /** All that have begun and not ended, of other tabs too. */
  async read(): Promise<LeftPlot[]> {
    const names = (await keys<string>(this.#store)).filter((key) => key.startsWith(PROGRESS));
    return Promise.all(
      names.map(async (name) => {
        const [plot, progress] = await getMany<unknown>(
          [PLOT + name.slice(PROGRESS.length), name],
          this.#store,
        );
        return { plot: plot as StartedPlot, progress: progress as PlotProgress };
      }),
    );
  }
}
