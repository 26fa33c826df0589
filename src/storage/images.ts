import type { ImageId, JobId, StoredImage } from '#protocol/job.ts';
import { answerOf, openDatabase } from './database.ts';

const VERSION = 1;
const BY_TIME = 'time';

/** An image's position in the gallery: when it was made, its position in its job, its id. */
export type GalleryPosition = readonly [createdAt: number, index: number, id: ImageId];

/** See {@link GalleryPosition}. */
export function positionOf({ createdAt, index, id }: StoredImage): GalleryPosition {
  return [createdAt, index, id];
}

/** Finished images with their files, apart from the records of their jobs, so that pages of them can be read. */
export function openImages(database = 'vitrine-images') {
  const transact = openDatabase(database, VERSION, (created) => {
    const store = created.createObjectStore('images', { keyPath: 'id' });
    store.createIndex(BY_TIME, ['createdAt', 'index', 'id']);
    return store;
  });
  const ofJob = (id: JobId) => IDBKeyRange.bound(`${id}/`, `${id}/\uffff`);

  return {
    get: (id: ImageId): Promise<StoredImage | undefined> =>
      transact('readonly', (store) => answerOf(store.get(id) as IDBRequest<StoredImage | undefined>)),
    /** @throws DOMException `QuotaExceededError` */
    put: (image: StoredImage): Promise<unknown> =>
      transact('readwrite', (store) => answerOf(store.put(image))),
    remove: (id: ImageId): Promise<unknown> => transact('readwrite', (store) => answerOf(store.delete(id))),
    /** The images of a job, in order. */
    async ofJob(id: JobId): Promise<StoredImage[]> {
      const images = await transact('readonly', (store) =>
        answerOf(store.getAll(ofJob(id)) as IDBRequest<StoredImage[]>),
      );
      return images.sort((a, b) => a.index - b.index);
    },
    removeJob: (id: JobId): Promise<unknown> =>
      transact('readwrite', (store) => answerOf(store.delete(ofJob(id)))),
    /** All ids, without their images. */
    ids: (): Promise<ImageId[]> =>
      transact('readonly', async (store) => (await answerOf(store.getAllKeys())).map(String)),
    count: (): Promise<number> => transact('readonly', (store) => answerOf(store.count())),
    /** Up to `limit` images, newest first; only those older than `after`, if given. */
    newest: (limit: number, after?: GalleryPosition): Promise<StoredImage[]> =>
      transact('readonly', (store) => {
        const range = after ? IDBKeyRange.upperBound([...after], true) : null;
        return readCursor(store.index(BY_TIME).openCursor(range, 'prev'), limit);
      }),
  };
}

export type Images = ReturnType<typeof openImages>;

function readCursor(request: IDBRequest<IDBCursorWithValue | null>, limit: number): Promise<StoredImage[]> {
  return new Promise((resolve, reject) => {
    const images: StoredImage[] = [];
    request.onerror = () => reject(request.error ?? new DOMException('', 'AbortError'));
    request.onsuccess = () => {
      const cursor = request.result;
      if (!cursor || images.length >= limit) {
        resolve(images);
        return;
      }
      images.push(cursor.value as StoredImage);
      cursor.continue();
    };
  });
}
