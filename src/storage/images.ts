import type { ImageId, JobId, StoredImage } from '#protocol/job.ts';
import { answerOf, openDatabase } from './database.ts';

const VERSION = 2;
const STORE = 'images';
const LISTING = 'listing';
/** Of version 1. */
const BY_TIME = 'time';

/** An image's position in the gallery: when it was made, its position in its job, its id. */
export type GalleryPosition = readonly [createdAt: number, index: number, id: ImageId];

/** What lists are made of: positions in order, and what is searched. It is read without the images. */
export type GalleryKey = readonly [...GalleryPosition, prompt: string];

/** See {@link GalleryPosition}. */
export function positionOf({ createdAt, index, id }: StoredImage): GalleryPosition {
  return [createdAt, index, id];
}

/** Which keys are read, and how many. */
interface KeyRange {
  oldestFirst?: boolean | undefined;
  /** Only those behind it, in the order of reading. */
  after?: GalleryPosition | undefined;
  limit?: number;
  accept: (key: GalleryKey) => boolean;
}

/** Finished images with their files, apart from the records of their jobs, so that pages of them can be read. */
export function openImages(database = 'vitrine-images') {
  const transact = openDatabase(database, VERSION, (opened, upgrade) => {
    const existing = opened.objectStoreNames.contains(STORE) ? upgrade?.objectStore(STORE) : undefined;
    const store = existing ?? opened.createObjectStore(STORE, { keyPath: 'id' });
    if (store.indexNames.contains(BY_TIME)) store.deleteIndex(BY_TIME);
    store.createIndex(LISTING, ['createdAt', 'index', 'id', 'prompt']);
    return store;
  });
  const ofJob = (id: JobId) => IDBKeyRange.bound(`${id}/`, `${id}/\uffff`);

  return {
    get: (id: ImageId): Promise<StoredImage | undefined> =>
      transact('readonly', (store) => answerOf(store.get(id) as IDBRequest<StoredImage | undefined>)),
    /** Those of these images that are stored, in the order asked for. */
    async getMany(ids: readonly ImageId[]): Promise<StoredImage[]> {
      const found = await transact('readonly', (store) =>
        Promise.all(ids.map((id) => answerOf(store.get(id) as IDBRequest<StoredImage | undefined>))),
      );
      return found.filter((image) => image !== undefined);
    },
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
    /** The keys of accepted images, newest first unless asked otherwise, without their images. */
    keys: (range: KeyRange): Promise<GalleryKey[]> =>
      transact('readonly', (store) => {
        const request = store
          .index(LISTING)
          .openKeyCursor(boundsOf(range), range.oldestFirst ? 'next' : 'prev');
        return readKeys(request, range);
      }),
  };
}

export type Images = ReturnType<typeof openImages>;

/** A key of an index begins with the position: a shorter key comes before all that begin with it. */
function boundsOf({ after, oldestFirst }: KeyRange): IDBKeyRange | null {
  if (!after) return null;
  // An array is larger than any text, and so larger than any prompt.
  return oldestFirst
    ? IDBKeyRange.lowerBound([...after, []], true)
    : IDBKeyRange.upperBound([...after], true);
}

function readKeys(
  request: IDBRequest<IDBCursor | null>,
  { limit = Infinity, accept }: KeyRange,
): Promise<GalleryKey[]> {
  return new Promise((resolve, reject) => {
    const keys: GalleryKey[] = [];
    request.onerror = () => reject(request.error ?? new DOMException('', 'AbortError'));
    request.onsuccess = () => {
      const cursor = request.result;
      if (!cursor || keys.length >= limit) {
        resolve(keys);
        return;
      }
      const key = cursor.key as unknown as GalleryKey;
      if (accept(key)) keys.push(key);
      cursor.continue();
    };
  });
}
