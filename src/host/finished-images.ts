import type { GalleryPage, HostEvent } from '#protocol/engine-host.ts';
import { AppError, toAppError } from '#protocol/error.ts';
import type { ImageId, JobId, StoredImage } from '#protocol/job.ts';
import { positionOf, type GalleryPosition, type Images } from '#storage/images.ts';

/** Newest first, as the store reads them. */
function compare(a: GalleryPosition, b: GalleryPosition): number {
  return b[0] - a[0] || b[1] - a[1] || (b[2] < a[2] ? -1 : Number(b[2] > a[2]));
}

/** @throws AppError `invalid_request` */
function parseCursor(cursor: string): GalleryPosition {
  const [, createdAt, index, id] = /^(\d+) (\d+) (.+)$/.exec(cursor) ?? [];
  if (id !== undefined) return [Number(createdAt), Number(index), id];
  throw new AppError(
    'invalid_request',
    `"${cursor}" is not a valid gallery position. Ask for the first page again.`,
  );
}

/**
 * The finished images of all jobs: those in storage, and those that storage has not taken, which last as long as this tab.
 * Watchers are notified of an image once it is stored, or once it is certain that it will not be.
 */
export function createFinishedImages(images: Images, emit: (event: HostEvent) => void) {
  /** Not stored, or not yet. */
  const unstored = new Map<ImageId, StoredImage>();

  const unstoredOf = (id: JobId) => [...unstored.values()].filter(({ jobId }) => jobId === id);
  const added = (image: StoredImage) => emit({ type: 'gallery', added: [image], removed: [] });

  async function store(image: StoredImage): Promise<void> {
    await images.put(image);
    if (unstored.get(image.id) === image) unstored.delete(image.id);
  }

  async function ofJob(id: JobId): Promise<StoredImage[]> {
    const own = new Map([...(await images.ofJob(id)), ...unstoredOf(id)].map((image) => [image.id, image]));
    return [...own.values()].sort((a, b) => a.index - b.index);
  }

  return {
    /** Stores an image; one that storage does not take is kept for {@link settle}. */
    async add(image: StoredImage): Promise<void> {
      unstored.set(image.id, image);
      try {
        await store(image);
        added(image);
      } catch {
        // Tried again when the job ends.
      }
    },

    /** Tries to store what a job still has unstored. @returns why that was in vain, or null */
    async settle(id: JobId): Promise<AppError | null> {
      let failure: AppError | null = null;
      for (const image of unstoredOf(id)) {
        await store(image).catch((thrown: unknown) => (failure = toAppError(thrown)));
        added(image);
      }
      return failure;
    },

    ofJob,

    /** Whether storage has an image, so that it outlives this tab. */
    isStored: (id: ImageId): boolean => !unstored.has(id),

    async find(id: ImageId): Promise<StoredImage | undefined> {
      return unstored.get(id) ?? (await images.get(id));
    },

    async remove(id: ImageId): Promise<void> {
      unstored.delete(id);
      await images.remove(id);
      emit({ type: 'gallery', added: [], removed: [id] });
    },

    async removeJob(id: JobId): Promise<void> {
      const removed = (await ofJob(id)).map((image) => image.id);
      for (const image of removed) unstored.delete(image);
      await images.removeJob(id);
      if (removed.length > 0) emit({ type: 'gallery', added: [], removed });
    },

    /** Deletes the images of jobs that are gone: a tab was closed while it deleted them. */
    async removeOrphans(isKnown: (id: JobId) => boolean): Promise<void> {
      for (const id of await images.ids()) {
        if (!isKnown(id.slice(0, id.lastIndexOf('/')))) await images.remove(id);
      }
    },

    /** See {@link EngineHost.gallery}. @throws AppError `invalid_request` for an `after` that no page has returned */
    async page(limit: number, after?: string): Promise<GalleryPage> {
      const position = after === undefined ? undefined : parseCursor(after);
      const [stored, count] = await Promise.all([images.newest(limit + 1, position), images.count()]);
      const storedIds = new Set(stored.map(({ id }) => id));
      const others = [...unstored.values()].filter(
        (image) => !storedIds.has(image.id) && (!position || compare(positionOf(image), position) > 0),
      );
      const found = [...stored, ...others].sort((a, b) => compare(positionOf(a), positionOf(b)));
      const items = found.slice(0, limit);
      const last = items.at(-1);
      const next = found.length > limit && last ? positionOf(last).join(' ') : null;
      return { items, next, total: count + unstored.size };
    },
  };
}

export type FinishedImages = ReturnType<typeof createFinishedImages>;
