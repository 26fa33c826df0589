import type { EngineEvent, RunOutcome } from '#protocol/engine-worker.ts';
import { AppError, toAppError } from '#protocol/error.ts';
import {
  imagesOf,
  type ImageId,
  type Job,
  type JobEvent,
  type JobId,
  type JobOrigin,
  type JobRecord,
} from '#protocol/job.ts';
import type { ModelId } from '#protocol/model.ts';
import { countArtifacts, requirementsOf } from '#protocol/tasks.ts';
import type { Jobs } from '#storage/jobs.ts';
import { createEndedJobs } from './ended-jobs.ts';
import type { FinishedImages } from './finished-images.ts';
import { endOfAttempts, endOfFailure, endOfRun, toStoredImage, withArtifact } from './job-results.ts';
import { createOpenRequests, isRestarted, takenOver } from './open-requests.ts';

/** Running and waiting jobs together, as Fooocus-API's `--queue-size`. */
const QUEUE_LIMIT = 100;

/** A job that took its tab down this often is given up. */
const ATTEMPT_LIMIT = 3;

interface Runner {
  /** Aborting `signal` ends the run before its next step. */
  run(job: Job, onEvent: (event: EngineEvent) => void, signal: AbortSignal): Promise<RunOutcome>;
  /** Called once for each job, when it has ended. */
  ended(record: JobRecord): void;
}

interface Live {
  record: JobRecord;
  preview: Blob | undefined;
  ended: PromiseWithResolvers<JobRecord>;
  stop: AbortController;
  /** Its end is decided and being stored: nothing changes it any more. */
  ending: boolean;
}

function isEnded(record: JobRecord): boolean {
  return record.stage === 'done' || record.stage === 'failed' || record.stage === 'cancelled';
}

/**
 * Runs jobs one at a time in the order they came, starting with those that an earlier tab left. Watchers are
 * notified of a change once it is stored, so that the next tab can continue where this one stops. An image is stored before the
 * record that mentions it, and deleted after it.
 */
export function createJobQueue(
  jobs: Jobs,
  images: FinishedImages,
  runner: Runner,
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
  let working = false;
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
    runner.ended(record);
  }

  function apply(entry: Live, event: EngineEvent): void {
    // What was sent before a crash may arrive after the job has ended.
    if (entry.ending) return;
    switch (event.type) {
      case 'progress':
        // Progress is reported, not stored: it would be lost with the tab anyway.
        entry.record = { ...entry.record, progress: event.progress };
        emit({ type: 'record', record: entry.record });
        break;
      case 'preview':
        entry.preview = event.blob;
        emit({ type: 'preview', id: entry.record.id, blob: event.blob });
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
    }
  }

  async function runOne(entry: Live): Promise<void> {
    const attempts = entry.record.attempts + 1;
    if (attempts > ATTEMPT_LIMIT) {
      await end(entry, endOfAttempts());
      return;
    }
    const [startedAt, stage] = [Date.now(), 'running'] as const;
    let outcome: Partial<JobRecord>;
    try {
      await change(entry, { stage, startedAt, attempts, progress: null, result: null, error: null });
      // Those of an attempt that was cut off.
      if (attempts > 1) await inOrder(() => images.removeJob(entry.record.id));
      const onEvent = (event: EngineEvent) => apply(entry, event);
      const over = await runner.run(entry.record.job, onEvent, entry.stop.signal);
      outcome = endOfRun(entry.record, over);
    } catch (thrown) {
      outcome = endOfFailure(entry.record, thrown);
    }
    await end(entry, outcome);
  }

  async function work(): Promise<void> {
    if (working) return;
    working = true;
    try {
      for (let next = line.shift(); next; next = line.shift()) {
        if (!next.ending) await runOne(next);
      }
    } finally {
      working = false;
    }
  }

  async function takeUp(): Promise<void> {
    for (const record of await jobs.all()) {
      clients.set(record.id, record.origin.client);
      if (!isEnded(record)) line.push(track({ ...record, stage: 'queued', progress: null }));
    }
    void work();
    images.removeOrphans((id) => clients.has(id)).catch(() => undefined);
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
    return requests.adopt(origin);
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
      const record: JobRecord = {
        id,
        origin,
        job,
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
      line.push(entry);
      void work();
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

    find,

    /** Every job, oldest first. */
    async all(): Promise<JobRecord[]> {
      await ready;
      await writes;
      const stored = await jobs.all();
      return stored.map((record) => live.get(record.id)?.record ?? endedJobs.unstored(record.id) ?? record);
    },

    /** The ids of all jobs of a client, oldest first, without a look into storage. */
    async idsOf(client: string): Promise<JobId[]> {
      await ready;
      return [...clients].flatMap(([id, own]) => (own === client ? [id] : []));
    },

    /** The running job and those that wait, oldest first, without a look into storage. */
    async unfinished(): Promise<JobRecord[]> {
      await ready;
      return [...live.values()].map(({ record }) => record);
    },

    preview: (id: JobId): Blob | undefined => live.get(id)?.preview,

    async cancel(id: JobId): Promise<void> {
      await ready;
      const entry = live.get(id);
      if (entry?.record.stage === 'queued') await end(entry, { stage: 'cancelled' });
      else entry?.stop.abort();
    },

    /** Ends the jobs in line for a pack that will not come. */
    async refuseWaiting(pack: ModelId, error: AppError): Promise<void> {
      await ready;
      const waiting = [...live.values()].filter(
        ({ record: { stage, job } }) =>
          stage === 'queued' && requirementsOf(job).some(({ id }) => id === pack),
      );
      await Promise.all(waiting.map((entry) => end(entry, { stage: 'failed', error: error.toData() })));
    },

    isRunning: (id: JobId): boolean => live.get(id)?.record.stage === 'running',

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
     * Deletes an image, and its job with the last of its images.
     * @returns whether the job is gone too
     * @throws AppError `invalid_request` while the job waits or runs
     */
    async removeImage(id: ImageId): Promise<boolean> {
      await ready;
      return inOrder(async () => {
        const image = await images.find(id);
        if (!image) return false;
        if (live.has(image.jobId)) {
          throw new AppError(
            'invalid_request',
            'An image of a running job cannot be removed. Stop the job first.',
          );
        }
        const isGone = await endedJobs.removeImage(image);
        if (isGone) forget(image.jobId);
        return isGone;
      });
    },
  };

  function forget(id: JobId): void {
    requests.close(id);
    clients.delete(id);
  }
}

export type JobQueue = ReturnType<typeof createJobQueue>;
