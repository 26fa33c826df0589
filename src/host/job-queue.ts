import type { EngineEvent, RunOutcome } from '#protocol/engine-worker.ts';
import { AppError, toAppError } from '#protocol/error.ts';
import type { Job, JobEvent, JobId, JobOrigin, JobRecord } from '#protocol/job.ts';
import type { Jobs } from '#storage/jobs.ts';

/** Running and waiting jobs together, as Fooocus-API's `--queue-size`. */
const QUEUE_LIMIT = 100;

/** A job that took its tab down this often is given up. */
const ATTEMPT_LIMIT = 3;

/** How long a finished job may still answer a fetch that was started again. */
const ADOPT_FINISHED_WITHIN_MS = 60_000;

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
  /** Clients waiting right now. */
  waiting: number;
  /** A client waited and vanished without cancelling. */
  abandoned: boolean;
}

function isEnded(record: JobRecord): boolean {
  return record.stage === 'done' || record.stage === 'failed' || record.stage === 'cancelled';
}

/**
 * Runs jobs one at a time in the order they came. Every change of a job is stored before it is told, so that
 * the next tab can go on where this one stops.
 */
export function createJobQueue(jobs: Jobs, runner: Runner, emit: (event: JobEvent) => void) {
  const live = new Map<JobId, Live>();
  let working = false;
  let writes: Promise<unknown> = Promise.resolve();

  function save(record: JobRecord): Promise<void> {
    const saved = writes.then(() => jobs.put(record));
    writes = saved.catch(() => undefined);
    return saved;
  }

  function track(record: JobRecord): Live {
    const entry: Live = {
      record,
      preview: undefined,
      ended: Promise.withResolvers(),
      stop: new AbortController(),
      waiting: 0,
      abandoned: false,
    };
    live.set(record.id, entry);
    return entry;
  }

  async function change(entry: Live, changes: Partial<JobRecord>): Promise<void> {
    entry.record = { ...entry.record, ...changes };
    const record = entry.record;
    await save(record);
    emit({ type: 'record', record });
  }

  async function end(entry: Live, changes: Partial<JobRecord>): Promise<void> {
    try {
      await change(entry, { ...changes, finishedAt: Date.now() });
    } catch (thrown) {
      // The pictures cannot be stored; whoever waits still gets them.
      const error = toAppError(thrown).toData();
      entry.record = { ...entry.record, error };
      emit({ type: 'record', record: entry.record });
    }
    entry.preview = undefined;
    entry.ended.resolve(entry.record);
    runner.ended(entry.record);
    if (entry.record.error?.code !== 'storage_full') live.delete(entry.record.id);
  }

  async function runOne(entry: Live): Promise<void> {
    const attempts = entry.record.attempts + 1;
    if (attempts > ATTEMPT_LIMIT) {
      const error = new AppError('engine_crashed', 'This picture stopped the engine each time it was tried.');
      await end(entry, { stage: 'failed', error: error.toData() });
      return;
    }
    const startedAt = Date.now();
    await change(entry, { stage: 'running', startedAt, attempts, progress: null, result: null, error: null });
    const result = { pictures: [], interrupted: false, seconds: 0, notes: [] };
    entry.record = { ...entry.record, result };
    const seconds = () => (Date.now() - startedAt) / 1000;
    const onEvent = (event: EngineEvent) => {
      // What was sent before a crash may arrive after the job has ended.
      if (entry.record.stage !== 'running') return;
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
        case 'picture': {
          const pictures = [...(entry.record.result?.pictures ?? []), event.picture];
          void change(entry, { result: { pictures, interrupted: false, seconds: seconds(), notes: [] } }).catch(() => undefined);
          break;
        }
      }
    };
    try {
      const { interrupted, notes } = await runner.run(entry.record.job, onEvent, entry.stop.signal);
      const pictures = entry.record.result?.pictures ?? [];
      await end(entry, {
        stage: interrupted ? 'cancelled' : 'done',
        result: { pictures, interrupted, seconds: seconds(), notes },
      });
    } catch (thrown) {
      const error = toAppError(thrown);
      await end(entry, { stage: error.code === 'cancelled' ? 'cancelled' : 'failed', error: error.toData() });
    }
  }

  async function work(): Promise<void> {
    if (working) return;
    working = true;
    try {
      for (;;) {
        const next = [...live.values()].find((entry) => entry.record.stage === 'queued');
        if (!next) return;
        await runOne(next);
      }
    } finally {
      working = false;
    }
  }

  async function find(id: JobId): Promise<JobRecord | undefined> {
    return live.get(id)?.record ?? (await jobs.get(id));
  }

  /** The job a restarted fetch should be answered by, instead of doing the work twice. */
  async function findAbandoned(origin: JobOrigin): Promise<JobRecord | undefined> {
    if (origin.requestKey === null) return undefined;
    const running = [...live.values()].find(
      ({ record, waiting, abandoned }) => abandoned && waiting === 0 && record.origin.requestKey === origin.requestKey,
    );
    if (running) return running.record;
    const recent = abandonedAtEnd.get(origin.requestKey);
    if (!recent || Date.now() - recent.at > ADOPT_FINISHED_WITHIN_MS) return undefined;
    abandonedAtEnd.delete(origin.requestKey);
    return jobs.get(recent.id);
  }
  const abandonedAtEnd = new Map<string, { id: JobId; at: number }>();

  return {
    /** Takes up what an earlier tab left unfinished. */
    async resume(): Promise<void> {
      for (const record of await jobs.all()) {
        if (isEnded(record) || live.has(record.id)) continue;
        const entry = track(record);
        entry.abandoned = true;
        await change(entry, { stage: 'queued', progress: null });
      }
      void work();
    },

    async submit(id: JobId, job: Job, origin: JobOrigin): Promise<JobId> {
      const known = (await find(id)) ?? (await findAbandoned(origin));
      if (known) return known.id;
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
      void work();
      return id;
    },

    /**
     * Resolves when the job has ended. `gone` tells that the client is no longer there to hear it.
     * @throws AppError `not_found`
     */
    async wait(id: JobId, gone: Promise<unknown>): Promise<JobRecord> {
      const entry = live.get(id);
      if (!entry) {
        const record = await jobs.get(id);
        if (!record) throw new AppError('not_found', 'There is no such job.', { detail: { job: id } });
        return record;
      }
      entry.waiting += 1;
      entry.abandoned = false;
      const left = gone.then(() => 'gone' as const);
      const outcome = await Promise.race([entry.ended.promise, left]);
      entry.waiting -= 1;
      if (outcome !== 'gone') return outcome;
      if (entry.waiting === 0) {
        entry.abandoned = true;
        const key = entry.record.origin.requestKey;
        if (key !== null) {
          void entry.ended.promise.then(() => abandonedAtEnd.set(key, { id, at: Date.now() }));
        }
      }
      return entry.record;
    },

    find,

    async all(): Promise<JobRecord[]> {
      await writes;
      const stored = await jobs.all();
      return stored.map((record) => live.get(record.id)?.record ?? record);
    },

    preview: (id: JobId): Blob | undefined => live.get(id)?.preview,

    async cancel(id: JobId): Promise<void> {
      const entry = live.get(id);
      if (!entry) return;
      if (entry.record.stage === 'queued') {
        await end(entry, { stage: 'cancelled' });
      } else {
        entry.stop.abort();
      }
    },

    isRunning: (id: JobId): boolean => live.get(id)?.record.stage === 'running',

    /** Replaces an ended job's record; `null` deletes it. */
    async replaceEnded(id: JobId, record: JobRecord | null): Promise<boolean> {
      const known = await find(id);
      if (!known || !isEnded(known)) return false;
      if (record) {
        await save(record);
        emit({ type: 'record', record });
      } else {
        await jobs.remove(id);
        emit({ type: 'removed', id });
      }
      return true;
    },
  };
}

export type JobQueue = ReturnType<typeof createJobQueue>;
