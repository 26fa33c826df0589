import type { BackendEvent, RunsOn } from '#protocol/backends.ts';
import { AppError, toAppError } from '#protocol/error.ts';
import {
  imagesOf,
  type ImageId,
  type Job,
  type JobEvent,
  type JobId,
  type JobOrigin,
  type JobRecord,
  type Preview,
  type StoredImage,
} from '#protocol/job.ts';
import type { ModelId } from '#protocol/model.ts';
import { countArtifacts, requirementsOf } from '#protocol/tasks.ts';
import type { Jobs } from '#storage/jobs.ts';
import type { Backend } from './backends/backend.ts';
import { createEndedJobs } from './ended-jobs.ts';
import type { FinishedImages } from './finished-images.ts';
import {
  endOfAttempts,
  endOfFailure,
  endOfRun,
  loadingAfter,
  toStoredImage,
  withArtifact,
  type Loading,
} from './job-results.ts';
import { createOpenRequests, isRestarted, takenOver } from './open-requests.ts';

/** Running and waiting jobs together, as Fooocus-API's `--queue-size`. */
const QUEUE_LIMIT = 100;

/** A job that took its tab down this often is given up. */
const ATTEMPT_LIMIT = 3;

/** This tab's engine. It alone can take its tab down, and runs the jobs whose records name no backend: those of earlier releases. */
const FIRST_BACKEND = 'local';

interface Runners {
  /** By their ids, in the order in which the free ones take jobs. */
  backends: Readonly<Record<string, Pick<Backend, 'run'>>>;
  /**
   * The backends that may run a new job.
   * @param runsOn what the request says about it
   * @throws AppError why none can
   */
  choose(job: Job, runsOn: RunsOn | undefined): readonly string[];
  /** Called once for each job, when it has ended. */
  ended(record: JobRecord): void;
}

interface Live {
  record: JobRecord;
  preview: Preview | undefined;
  loading: Loading;
  ended: PromiseWithResolvers<JobRecord>;
  stop: AbortController;
  /** Its end is decided and being stored: nothing changes it any more. */
  ending: boolean;
}

function isEnded(record: JobRecord): boolean {
  return record.stage === 'done' || record.stage === 'failed' || record.stage === 'cancelled';
}

/**
 * Runs jobs in the order they came, one at a time on each backend, starting with those that an earlier tab left. Watchers are
 * notified of a change once it is stored, so that the next tab can continue where this one stops. An image is stored before the
 * record that mentions it, and deleted after it.
 */
export function createJobQueue(
  jobs: Jobs,
  images: FinishedImages,
  runners: Runners,
  emit: (event: JobEvent) => void,
) {
  /** Jobs that have not ended. */
  const live = new Map<JobId, Live>();
  /** Those that are stored and wait for their turn. */
  const line: Live[] = [];
  const endedJobs = createEndedJobs(jobs, images, emit);
  const requests = createOpenRequests();
  /** The client of each job, in order of arrival. */
  const clients = new Map<JobId, string>();
  /** Jobs whose images are all in the bin: they are there, but nobody sees them. */
  const hidden = new Set<JobId>();
  /** The backends that run a job now. */
  const busy = new Set<string>();
  let writes: Promise<unknown> = Promise.resolve();

  function inOrder<T>(write: () => Promise<T>): Promise<T> {
    const written = writes.then(write);
    writes = written.catch(() => undefined);
    return written;
  }

  const save = (record: JobRecord) => inOrder(() => jobs.put(record));

  function track(record: JobRecord): Live {
    const entry: Live = {
      record,
      preview: undefined,
      loading: { seconds: 0, since: null },
      ended: Promise.withResolvers(),
      stop: new AbortController(),
      ending: false,
    };
    live.set(record.id, entry);
    return entry;
  }

  async function change(entry: Live, changes: Partial<JobRecord>): Promise<void> {
    entry.record = { ...entry.record, ...changes };
    const { record } = entry;
    await save(record);
    // The job continued while this was written: reported progress is not taken back.
    emit({ type: 'record', record: { ...record, progress: entry.record.progress } });
  }

  async function end(entry: Live, changes: Partial<JobRecord>): Promise<void> {
    if (entry.ending) return;
    entry.ending = true;
    const ended: JobRecord = { ...entry.record, ...changes, finishedAt: Date.now() };
    const record = await inOrder(() => endedJobs.store(ended));
    // It may have been answered while this was written.
    const { origin } = entry.record;
    entry.record = record;
    live.delete(record.id);
    requests.jobEnded(record, origin);
    entry.ended.resolve(record);
    emit({ type: 'record', record });
    runners.ended(record);
  }

  function apply(entry: Live, backend: string, event: BackendEvent): Promise<void> | undefined {
    // What was sent before a crash may arrive after the job has ended.
    if (entry.ending) return undefined;
    switch (event.type) {
      case 'progress':
        // Progress is reported, not stored: it would be lost with the tab anyway.
        entry.record = { ...entry.record, progress: event.progress };
        entry.loading = loadingAfter(entry.loading, event.progress.phase);
        emit({ type: 'record', record: entry.record });
        break;
      case 'preview':
        entry.preview = event.preview;
        emit({ type: 'preview', id: entry.record.id, preview: event.preview });
        break;
      case 'artifact': {
        const image = toStoredImage(entry.record, event.artifact, event.file);
        const result = withArtifact(entry.record, event);
        entry.record = { ...entry.record, result };
        void inOrder(() => images.add(image));
        // The last one is stored with the end of the job, as is a record that storage does not take now.
        if (imagesOf(result).length < countArtifacts(entry.record.job))
          change(entry, {}).catch(() => undefined);
        break;
      }
      case 'by-product':
        // Stored with the image it belongs to.
        entry.record = { ...entry.record, result: withArtifact(entry.record, event) };
        break;
      case 'sent': {
        const ids = [...(entry.record.remote?.ids ?? [])];
        ids[event.index] = event.id;
        return change(entry, { remote: { backend, ids } });
      }
    }
    return undefined;
  }

  /** Whether a backend may run a job: only where it was sent to, once it was. */
  function mayRun({ record: { backends = [FIRST_BACKEND], remote } }: Live, backend: string): boolean {
    return remote ? remote.backend === backend : backends.includes(backend);
  }

  async function runOne(entry: Live, backend: string, runner: Pick<Backend, 'run'>): Promise<void> {
    const { remote } = entry.record;
    // What was sent elsewhere took no tab down, and keeps what it has made.
    const attempts = entry.record.attempts + (remote ? 0 : 1);
    if (backend === FIRST_BACKEND && attempts > ATTEMPT_LIMIT) {
      await end(entry, endOfAttempts());
      return;
    }
    const [startedAt, stage] = [Date.now(), 'running'] as const;
    const result = remote ? entry.record.result : null;
    entry.loading = { seconds: 0, since: startedAt };
    let outcome: Partial<JobRecord>;
    try {
      await change(entry, { stage, backend, startedAt, attempts, progress: null, result, error: null });
      // Those of an attempt that was cut off.
      if (attempts > 1 && !remote) await inOrder(() => images.removeJob(entry.record.id));
      if (!remote) images.begin(entry.record.id);
      const onEvent = (event: BackendEvent) => apply(entry, backend, event);
      const over = await runner.run(entry.record.job, onEvent, entry.stop.signal, remote?.ids ?? []);
      outcome = endOfRun(entry.record, over, entry.loading);
    } catch (thrown) {
      outcome = endOfFailure(entry.record, thrown);
    }
    await end(entry, outcome);
  }

  /** The first job in line that a backend may run. */
  function take(backend: string): Live | undefined {
    const index = line.findIndex((entry) => entry.ending || mayRun(entry, backend));
    return index < 0 ? undefined : line.splice(index, 1)[0];
  }

  async function workOn(backend: string, runner: Pick<Backend, 'run'>): Promise<void> {
    if (busy.has(backend)) return;
    busy.add(backend);
    try {
      for (let next = take(backend); next; next = take(backend)) {
        if (!next.ending) await runOne(next, backend, runner);
      }
    } finally {
      busy.delete(backend);
    }
  }

  function work(): void {
    for (const [backend, runner] of Object.entries(runners.backends)) void workOn(backend, runner);
  }

  async function takeUp(): Promise<void> {
    await images.load();
    for (const record of await jobs.all()) {
      clients.set(record.id, record.origin.client);
      images.learnJob(record);
      if (isEnded(record) && !endedJobs.visible(record)) hidden.add(record.id);
      if (!isEnded(record)) line.push(track({ ...record, stage: 'queued', progress: null }));
    }
    work();
    images.removeOrphans((id) => clients.has(id)).catch(() => undefined);
  }

  /** @throws AppError `invalid_request` while the job waits or runs */
  function refuseLive({ jobId }: StoredImage): void {
    if (!live.has(jobId)) return;
    throw new AppError('invalid_request', 'An image of a running job cannot be removed. Stop the job first.');
  }

  /** Deletes an image for good. @returns whether the job is gone too */
  async function removeForGood(image: StoredImage): Promise<boolean> {
    const isGone = await endedJobs.removeImage(image);
    if (isGone) forget(image.jobId);
    return isGone;
  }

  /** Until it is known what an earlier tab left, no question can be answered. */
  const ready = takeUp();
  ready.catch(() => undefined);

  async function find(id: JobId): Promise<JobRecord | undefined> {
    await ready;
    return live.get(id)?.record ?? endedJobs.find(id);
  }

  /** The job that a restarted fetch had started before, which now answers it instead of a second one. */
  function adopt(origin: JobOrigin): JobId | undefined {
    for (const entry of live.values()) {
      const { record, stop } = entry;
      if (stop.signal.aborted || !isRestarted(record.origin, origin)) continue;
      entry.record = { ...record, origin: takenOver(record.origin, origin) };
      return record.id;
    }
    return requests.adopt(
      origin,
      [...live.values()].map(({ record }) => record.origin),
    );
  }

  return {
    async submit(id: JobId, job: Job, origin: JobOrigin): Promise<JobId> {
      await ready;
      if (clients.has(id) || live.has(id)) return id;
      const adopted = adopt(origin);
      if (adopted !== undefined) return adopted;
      if (live.size >= QUEUE_LIMIT) {
        throw new AppError('queue_full', `The queue is full: ${String(QUEUE_LIMIT)} jobs are waiting.`, {
          detail: { limit: QUEUE_LIMIT },
        });
      }
      const backends = runners.choose(job, origin.runsOn);
      const record: JobRecord = {
        id,
        origin,
        job,
        backends,
        stage: 'queued',
        queuedAt: Date.now(),
        startedAt: null,
        finishedAt: null,
        attempts: 0,
        progress: null,
        result: null,
        error: null,
      };
      const entry = track(record);
      try {
        await change(entry, {});
      } catch (thrown) {
        live.delete(id);
        throw toAppError(thrown);
      }
      clients.set(id, origin.client);
      images.learnJob(record);
      line.push(entry);
      work();
      return id;
    },

    /** Resolves when the job has ended. @throws AppError `not_found` */
    async wait(id: JobId): Promise<JobRecord> {
      await ready;
      const record = (await live.get(id)?.ended.promise) ?? (await find(id));
      if (record) return record;
      throw new AppError('not_found', 'There is no job with this id.', { detail: { job: id } });
    },

    /** The request that started a job has its answer: the next one like it starts another job. */
    async answered(id: JobId): Promise<void> {
      await ready;
      requests.close(id);
      const entry = live.get(id);
      if (!entry || entry.record.origin.requestKey === null) return;
      const origin: JobOrigin = { ...entry.record.origin, requestKey: null };
      if (entry.ending) entry.record = { ...entry.record, origin };
      else await change(entry, { origin });
    },

    /** Where a job came from whose request has been sent again, see {@link isRestarted}; of whichever of its runs. */
    async begun({
      requestKey,
      session,
    }: Pick<JobOrigin, 'requestKey' | 'session'>): Promise<JobOrigin | undefined> {
      await ready;
      const origins = [...requests.origins(), ...[...live.values()].map(({ record }) => record.origin)];
      return origins.find(
        (origin) => requestKey !== null && origin.requestKey === requestKey && origin.session !== session,
      );
    },

    find,

    /** Every job, oldest first. */
    async all(): Promise<JobRecord[]> {
      await ready;
      await writes;
      const stored = await jobs.all();
      return stored.flatMap(
        (record) =>
          live.get(record.id)?.record ?? endedJobs.visible(endedJobs.unstored(record.id) ?? record) ?? [],
      );
    },

    /** The ids of all jobs of a client, oldest first, without a look into storage. */
    async idsOf(client: string): Promise<JobId[]> {
      await ready;
      return [...clients].flatMap(([id, own]) => (own === client && !hidden.has(id) ? [id] : []));
    },

    /** The running job and those that wait, oldest first, without a look into storage. */
    async unfinished(): Promise<JobRecord[]> {
      await ready;
      return [...live.values()].map(({ record }) => record);
    },

    preview: (id: JobId): Preview | undefined => live.get(id)?.preview,

    async cancel(id: JobId): Promise<void> {
      await ready;
      const entry = live.get(id);
      if (entry?.record.stage === 'queued' && !entry.record.remote) await end(entry, { stage: 'cancelled' });
      else entry?.stop.abort();
    },

    /** Ends the jobs in line for a pack that will not come, unless they can run elsewhere. */
    async refuseWaiting(pack: ModelId, error: AppError): Promise<void> {
      await ready;
      const waiting = [...live.values()].filter(
        ({ record: { stage, job, backends = [FIRST_BACKEND] } }) =>
          stage === 'queued' &&
          backends.every((backend) => backend === FIRST_BACKEND) &&
          requirementsOf(job).some(({ id }) => id === pack),
      );
      await Promise.all(waiting.map((entry) => end(entry, { stage: 'failed', error: error.toData() })));
    },

    /** The backend that runs a job now. */
    runningOn(id: JobId): string | undefined {
      const record = live.get(id)?.record;
      return record?.stage === 'running' ? record.backend : undefined;
    },

    /** Deletes an ended job and its images. @returns whether there is such a job and it has ended */
    async remove(id: JobId): Promise<boolean> {
      await ready;
      return inOrder(async () => {
        if (live.has(id) || !(await endedJobs.find(id))) return false;
        await endedJobs.remove(id);
        forget(id);
        return true;
      });
    },

    /**
     * Moves images to the bin; without room for it, they are deleted for good.
     * @returns jobs that are gone for good
     * @throws AppError `invalid_request` for an image of a job that waits or runs; nothing is deleted then
     */
    async deleteImages(ids: readonly ImageId[]): Promise<JobId[]> {
      await ready;
      return inOrder(async () => {
        const asked = await Promise.all(ids.map((id) => images.find(id)));
        const found = asked.filter((image) => image !== undefined);
        found.forEach(refuseLive);
        const left = new Set(await images.moveToBin(found.map(({ id }) => id)));
        const gone = new Set<JobId>();
        for (const image of found) {
          if (left.has(image.id) && (await removeForGood(image))) gone.add(image.jobId);
        }
        for (const id of new Set(found.map(({ jobId }) => jobId))) {
          if (gone.has(id) || (await endedJobs.report(id))) continue;
          requests.close(id);
          hidden.add(id);
        }
        return [...gone];
      });
    },

    /** Takes images out of the bin, and their jobs. @returns those that were in it */
    async restoreImages(ids: readonly ImageId[]): Promise<ImageId[]> {
      await ready;
      return inOrder(async () => {
        const restored = await images.restore(ids);
        for (const id of new Set(restored.map(({ jobId }) => jobId))) {
          hidden.delete(id);
          await endedJobs.report(id);
        }
        return restored.map(({ id }) => id);
      });
    },

    /**
     * Deletes images in the bin for good, each in its turn.
     * @param before those that were put there before this time, in epoch milliseconds
     * @param ids only these
     * @returns jobs that are gone with their last image
     */
    async emptyBin(before: number, ids?: readonly ImageId[]): Promise<JobId[]> {
      await ready;
      const due = images.inBinBefore(before);
      const named = ids && new Set(ids);
      const gone: JobId[] = [];
      for (const id of due) {
        if (named && !named.has(id)) continue;
        await inOrder(async () => {
          // It may have been restored while others were deleted.
          const image = images.isInBin(id) ? await images.get(id) : undefined;
          if (image && (await removeForGood(image))) gone.push(image.jobId);
        });
      }
      return gone;
    },

    ready,
  };

  function forget(id: JobId): void {
    requests.close(id);
    clients.delete(id);
    hidden.delete(id);
  }
}

export type JobQueue = ReturnType<typeof createJobQueue>;
