import type { EngineEvent, RunOutcome } from '#protocol/engine-worker.ts';
import { AppError, toAppError } from '#protocol/error.ts';
import {
  countImages,
  type Job,
  type JobEvent,
  type JobId,
  type JobOrigin,
  type JobRecord,
  type JobResult,
  type GeneratedImage,
} from '#protocol/job.ts';
import type { ModelId } from '#protocol/model.ts';
import type { Jobs } from '#storage/jobs.ts';

/** Running and waiting jobs together, as Fooocus-API's `--queue-size`. */
const QUEUE_LIMIT = 100;

/** A job that took its tab down this often is given up. */
const ATTEMPT_LIMIT = 3;

/** How long an ended job may still answer a fetch that was started again. */
const ADOPT_ENDED_WITHIN_MS = 60_000;

interface Runner {
  /** Aborting `signal` ends the run before its next step. */
  run(job: Job, onEvent: (event: EngineEvent) => void, signal: AbortSignal): Promise<RunOutcome>;
  /** Told once of each job, when it has ended. */
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

/** Whether `later` is the request of `earlier`, started again by the next run of the service worker. */
function isRestarted(earlier: JobOrigin, later: JobOrigin): boolean {
  return (
    later.requestKey !== null && later.requestKey === earlier.requestKey && later.session !== earlier.session
  );
}

/**
 * Runs jobs one at a time in the order they came, first of all those that an earlier tab left. Watchers are
 * told of a change once it is stored, so that the next tab can go on where this one stops.
 */
export function createJobQueue(jobs: Jobs, runner: Runner, emit: (event: JobEvent) => void) {
  /** Jobs that have not ended. */
  const live = new Map<JobId, Live>();
  /** Those that are stored and wait for their turn. */
  const line: Live[] = [];
  /** Ended jobs that storage did not take: they last as long as this tab. */
  const unstored = new Map<JobId, JobRecord>();
  /** Ended jobs whose requests have not been answered yet. */
  const unanswered = new Map<JobId, { origin: JobOrigin; endedAt: number }>();
  /** Who asked for each job there is, in the order they came. */
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
    // The job went on while this was written: progress that was told is not taken back.
    emit({ type: 'record', record: { ...record, progress: entry.record.progress } });
  }

  async function end(entry: Live, changes: Partial<JobRecord>): Promise<void> {
    if (entry.ending) return;
    entry.ending = true;
    let record: JobRecord = { ...entry.record, ...changes, finishedAt: Date.now() };
    try {
      await save(record);
    } catch (thrown) {
      // Whoever waits still gets the images, and no later tab shall draw them again.
      record = { ...record, error: record.error ?? toAppError(thrown).toData() };
      unstored.set(record.id, record);
      await save({ ...record, stage: 'failed', result: null }).catch(() => undefined);
    }
    // It may have been answered while this was written.
    const { origin } = entry.record;
    entry.record = record;
    live.delete(record.id);
    if (origin.requestKey !== null && record.stage !== 'cancelled') {
      unanswered.set(record.id, { origin, endedAt: Date.now() });
    }
    entry.ended.resolve(record);
    emit({ type: 'record', record });
    runner.ended(record);
  }

  async function runOne(entry: Live): Promise<void> {
    const attempts = entry.record.attempts + 1;
    if (attempts > ATTEMPT_LIMIT) {
      const error = new AppError('engine_crashed', 'This image stopped the engine each time it was tried.');
      await end(entry, { stage: 'failed', error: error.toData() });
      return;
    }
    const startedAt = Date.now();
    const resultWith = (images: GeneratedImage[], outcome: RunOutcome): JobResult => ({
      images,
      seconds: (Date.now() - startedAt) / 1000,
      ...outcome,
    });
    const onEvent = (event: EngineEvent) => {
      // What was sent before a crash may arrive after the job has ended.
      if (entry.ending) return;
      switch (event.type) {
        case 'progress':
          // Progress is told, not stored: it would be lost with the tab anyway.
          entry.record = { ...entry.record, progress: event.progress };
          emit({ type: 'record', record: entry.record });
          break;
        case 'preview':
          entry.preview = event.blob;
          emit({ type: 'preview', id: entry.record.id, blob: event.blob });
          break;
        case 'image': {
          // The engine repeats a job whose device was lost: the same image can come twice.
          const { job, result: before } = entry.record;
          const others = before?.images.filter(({ index }) => index !== event.image.index) ?? [];
          const images = [...others, event.image];
          const result = resultWith(images, { interrupted: false, notes: [] });
          // An image that storage does not take is tried again with the end of the job, as is the last one.
          if (images.length < countImages(job)) change(entry, { result }).catch(() => undefined);
          else entry.record = { ...entry.record, result };
          break;
        }
      }
    };
    let outcome: Partial<JobRecord>;
    try {
      await change(entry, {
        stage: 'running',
        startedAt,
        attempts,
        progress: null,
        result: null,
        error: null,
      });
      const { interrupted, notes } = await runner.run(entry.record.job, onEvent, entry.stop.signal);
      outcome = {
        stage: interrupted ? 'cancelled' : 'done',
        result: resultWith(entry.record.result?.images ?? [], { interrupted, notes }),
      };
    } catch (thrown) {
      const error = toAppError(thrown);
      const { result } = entry.record;
      outcome = {
        stage: error.code === 'cancelled' ? 'cancelled' : 'failed',
        error: error.toData(),
        result: result && { ...result, interrupted: true },
      };
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
  }

  /** Until it is known what an earlier tab left, no question can be answered. */
  const ready = takeUp();
  ready.catch(() => undefined);

  async function find(id: JobId): Promise<JobRecord | undefined> {
    await ready;
    return live.get(id)?.record ?? unstored.get(id) ?? jobs.get(id);
  }

  /** The job that a restarted fetch had asked for before, and that now answers it instead of a second one. */
  function adopt(origin: JobOrigin): JobId | undefined {
    const { session } = origin;
    const taken = (earlier: JobOrigin) => ({ ...earlier, ...(session !== undefined && { session }) });
    for (const entry of live.values()) {
      const { record, stop } = entry;
      if (stop.signal.aborted || !isRestarted(record.origin, origin)) continue;
      entry.record = { ...record, origin: taken(record.origin) };
      return record.id;
    }
    for (const [id, ended] of unanswered) {
      if (Date.now() - ended.endedAt > ADOPT_ENDED_WITHIN_MS) {
        unanswered.delete(id);
      } else if (isRestarted(ended.origin, origin)) {
        unanswered.set(id, { ...ended, origin: taken(ended.origin) });
        return id;
      }
    }
    return undefined;
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
      throw new AppError('not_found', 'There is no such job.', { detail: { job: id } });
    },

    /** The request that asked for a job has its answer: the next one like it asks for another job. */
    async answered(id: JobId): Promise<void> {
      await ready;
      unanswered.delete(id);
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
      return stored.map((record) => live.get(record.id)?.record ?? unstored.get(record.id) ?? record);
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

    /** Ends the jobs in line for a model that will not come. */
    async refuseWaiting(model: ModelId, error: AppError): Promise<void> {
      await ready;
      const waiting = [...live.values()].filter(
        ({ record: { stage, job } }) => stage === 'queued' && job.task !== 'upscale' && job.model === model,
      );
      await Promise.all(waiting.map((entry) => end(entry, { stage: 'failed', error: error.toData() })));
    },

    isRunning: (id: JobId): boolean => live.get(id)?.record.stage === 'running',

    /**
     * Changes an ended job's record, or deletes it where `change` answers with null.
     * @returns whether there is such a job and it has ended
     */
    async changeEnded(id: JobId, change: (record: JobRecord) => JobRecord | null): Promise<boolean> {
      await ready;
      return inOrder(async () => {
        const record = live.has(id) ? undefined : (unstored.get(id) ?? (await jobs.get(id)));
        if (!record) return false;
        const changed = change(record);
        if (changed) {
          if (unstored.has(id)) unstored.set(id, changed);
          else await jobs.put(changed);
          emit({ type: 'record', record: changed });
        } else {
          await jobs.remove(id);
          unstored.delete(id);
          unanswered.delete(id);
          clients.delete(id);
          emit({ type: 'removed', id });
        }
        return true;
      });
    },
  };
}

export type JobQueue = ReturnType<typeof createJobQueue>;
