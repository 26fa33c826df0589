import { createStore, del, get, set, values } from 'idb-keyval';
import type { JobId } from '#protocol/job.ts';

/** A path under which a dialect serves an image of a job. */
interface PublishedFile {
  path: string;
  jobId: JobId;
  index: number;
}

/** Which image each served path leads to; the bytes stay in the store of images. */
export function openPublishedFiles(database = 'vitrine-files') {
  const store = createStore(database, 'paths');
  return {
    find: (path: string): Promise<PublishedFile | undefined> => get(path, store),
    publish: (file: PublishedFile): Promise<void> => set(file.path, file, store),
    /** Forgets the paths of a job. */
    async removeJob(jobId: JobId): Promise<void> {
      for (const file of await values<PublishedFile>(store)) {
        if (file.jobId === jobId) await del(file.path, store);
      }
    },
  };
}

export type PublishedFiles = ReturnType<typeof openPublishedFiles>;
