import { createStore, del, get, set, values } from 'idb-keyval';
import type { JobId } from '#protocol/job.ts';

/** A path under which a dialect serves an image of a job. */
interface PublishedImage {
  path: string;
  jobId: JobId;
  index: number;
  /** Epoch milliseconds after which the path leads nowhere; without it, for as long as the image is there. */
  until?: number;
}

/** A file that a client has sent, by the path it is served under. */
interface UploadedFile {
  path: string;
  blob: Blob;
  /** Epoch milliseconds. */
  until: number;
}

type PublishedFile = PublishedImage | UploadedFile;

const hasExpired = ({ until = Infinity }: PublishedFile) => until <= Date.now();

/** What each served path leads to: an image in the store of images, or a file that is kept here for a time. */
export function openPublishedFiles(database = 'vitrine-files') {
  const store = createStore(database, 'paths');

  async function removeWhere(isGone: (file: PublishedFile) => boolean): Promise<void> {
    for (const file of await values<PublishedFile>(store)) {
      if (isGone(file)) await del(file.path, store);
    }
  }

  return {
    async find(path: string): Promise<PublishedFile | undefined> {
      const file = await get<PublishedFile>(path, store);
      return file && !hasExpired(file) ? file : undefined;
    },
    publish: (file: PublishedImage): Promise<void> => set(file.path, file, store),
    /** Keeps a file until its time, and deletes those whose time is over. */
    async keep(file: UploadedFile): Promise<void> {
      await removeWhere(hasExpired);
      await set(file.path, file, store);
    },
    /** Forgets the paths of a job. */
    removeJob: (jobId: JobId): Promise<void> =>
      removeWhere((file) => 'jobId' in file && file.jobId === jobId),
  };
}

export type PublishedFiles = ReturnType<typeof openPublishedFiles>;
