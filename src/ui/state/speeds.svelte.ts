import type { Remote } from 'comlink';
import type { EngineHost } from '#protocol/engine-host.ts';
import { imagesOf, type JobRecord, type Pass } from '#protocol/job.ts';
import { factsOf } from '#protocol/tasks.ts';

/** Finished jobs that are looked at when the app starts. */
const READ = 12;

/** Finished jobs that are remembered. */
const KEPT = 60;

/** Measurements of one kind that count. */
const LATEST = 5;

/** What the time for an image depends on. */
type Work = readonly Pick<Pass, 'model' | 'size' | 'steps' | 'strength' | 'exactSteps'>[];

interface Measured {
  /** Models and sizes. */
  kind: string;
  steps: number;
  /** Of one image. */
  seconds: number;
}

/** How long images took on this device once their models were loaded, from the records of jobs that this tab's engine has finished. */
export class Speeds {
  /** The newest first. */
  #measured = $state.raw<readonly Measured[]>([]);

  /** Takes the latest jobs of the app from storage. */
  async read(host: Remote<EngineHost>): Promise<void> {
    const ids = await host.jobIds('app');
    for (const record of await Promise.all(ids.slice(-READ).map((id) => host.job(id)))) {
      if (record) this.take(record);
    }
  }

  /** Takes the time of a job that has ended. One that was interrupted, or ran elsewhere, says nothing. */
  take({ stage, job, result, backend = 'local' }: JobRecord): void {
    const generation = factsOf(job).generation(job);
    const images = imagesOf(result).length;
    if (stage !== 'done' || !generation || !result || result.interrupted || images === 0) return;
    if (backend !== 'local') return;
    const seconds = (result.seconds - (result.loadingSeconds ?? 0)) / images;
    const measured = { kind: kindOf(generation.passes), steps: stepsOf(generation.passes), seconds };
    this.#measured = [measured, ...this.#measured].slice(0, KEPT);
  }

  /**
   * Seconds for an image: the median of the latest of these models, sizes and steps; where there are none, of other steps, in
   * proportion. Null where nothing like it was measured.
   */
  secondsFor(passes: Work): number | null {
    const [kind, steps] = [kindOf(passes), stepsOf(passes)];
    const alike = this.#measured.filter((measured) => measured.kind === kind);
    const same = alike.filter((measured) => measured.steps === steps);
    const seconds = (same.length > 0 ? same : alike)
      .slice(0, LATEST)
      .map((measured) => (measured.seconds * steps) / measured.steps)
      .sort((a, b) => a - b);
    return seconds[Math.floor(seconds.length / 2)] ?? null;
  }

  /** Seconds for images one after another; null where one of them is not known. */
  secondsForAll(images: readonly Work[]): number | null {
    let sum = 0;
    for (const passes of images) {
      const seconds = this.secondsFor(passes);
      if (seconds === null) return null;
      sum += seconds;
    }
    return sum;
  }
}

function kindOf(passes: Work): string {
  return passes.map(({ model, size }) => `${model} ${size.width}x${size.height}`).join(' + ');
}

/** Steps that are run; an init image takes a part of them, of its strength. */
function stepsOf(passes: Work): number {
  return passes.reduce(
    (sum, { steps, strength, exactSteps }) =>
      sum + (exactSteps === true ? steps : Math.max(1, Math.floor(steps * strength))),
    0,
  );
}
