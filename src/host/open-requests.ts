import type { JobId, JobOrigin, JobRecord } from '#protocol/job.ts';

/** How long an ended job may still answer a fetch that was started again, after the last job of its request. */
const ADOPT_ENDED_WITHIN_MS = 60_000;

/** Whether `later` is the request of `earlier`, started again by the next run of the service worker. */
export function isRestarted(earlier: JobOrigin, later: JobOrigin): boolean {
  return (
    later.requestKey !== null &&
    later.requestKey === earlier.requestKey &&
    (later.run ?? 0) === (earlier.run ?? 0) &&
    later.session !== earlier.session
  );
}

/** An earlier request's origin once a later one has taken over its job. */
export function takenOver(earlier: JobOrigin, { session }: JobOrigin): JobOrigin {
  return { ...earlier, ...(session !== undefined && { session }) };
}

/** Ended jobs whose requests have not been answered yet: a request that is started again finds its job here. */
export function createOpenRequests() {
  const open = new Map<JobId, { origin: JobOrigin; endedAt: number }>();

  /** Forgets the requests that nobody has started again, long after their last job. */
  function forgetLeft(live: readonly JobOrigin[]): void {
    const now = Date.now();
    const lastAt = new Map<string | null, number>(live.map(({ requestKey }) => [requestKey, now]));
    for (const { origin, endedAt } of open.values()) {
      lastAt.set(origin.requestKey, Math.max(endedAt, lastAt.get(origin.requestKey) ?? 0));
    }
    for (const [id, { origin }] of open) {
      if (now - (lastAt.get(origin.requestKey) ?? 0) > ADOPT_ENDED_WITHIN_MS) open.delete(id);
    }
  }

  return {
    /** @param origin the current one: the request may have been answered while the end was written */
    jobEnded({ id, stage }: JobRecord, origin: JobOrigin): void {
      if (origin.requestKey !== null && stage !== 'cancelled') open.set(id, { origin, endedAt: Date.now() });
    },
    close: (id: JobId): boolean => open.delete(id),
    /** Where the jobs came from that have ended and are not answered. */
    origins: (): JobOrigin[] => [...open.values()].map(({ origin }) => origin),
    /**
     * The ended job that a restarted fetch had started, which now answers it instead of a second one.
     * @param live the origins of the jobs that wait or run: the earlier runs of a script count as long as its last one
     */
    adopt(origin: JobOrigin, live: readonly JobOrigin[]): JobId | undefined {
      forgetLeft(live);
      for (const [id, ended] of open) {
        if (!isRestarted(ended.origin, origin)) continue;
        open.set(id, { ...ended, origin: takenOver(ended.origin, origin) });
        return id;
      }
      return undefined;
    },
  };
}
