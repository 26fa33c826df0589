import { createStore, del, get, set, values } from 'idb-keyval';
import type { JobId, JobRecord } from '#protocol/job.ts';

/** Job records, without the files of their images. Writes are ordered: a later one never loses to an earlier. */
export function openJobs(database = 'vitrine-job-records') {
  const store = createStore(database, 'jobs');
  return {
    get: (id: JobId): Promise<JobRecord | undefined> => get(id, store),
    put: (record: JobRecord): Promise<void> => set(record.id, record, store),
    remove: (id: JobId): Promise<void> => del(id, store),
    /** All records, oldest first. */
    async all(): Promise<JobRecord[]> {
      const records = await values<JobRecord>(store);
      return records.sort((a, b) => a.queuedAt - b.queuedAt);
    },
  };
}

export type Jobs = ReturnType<typeof openJobs>;
