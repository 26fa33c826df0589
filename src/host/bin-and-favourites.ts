import type { ImageId } from '#protocol/job.ts';
import type { ImageMark, ImageMarks } from '#storage/image-marks.ts';

const UNMARKED: ImageMark = { favourite: false, deletedAt: null };

/** Which images are in the bin and which are favourites: known without a look into storage once it has been read. */
export function createBinAndFavourites(store: ImageMarks) {
  const marks = new Map<ImageId, ImageMark>();
  const markOf = (id: ImageId) => marks.get(id) ?? UNMARKED;

  async function mark(id: ImageId, changes: Partial<ImageMark>): Promise<void> {
    const before = marks.get(id);
    const after = { ...UNMARKED, ...before, ...changes };
    const isPlain = !after.favourite && after.deletedAt === null;
    if (isPlain) await store.remove(id);
    else await store.put(id, after);
    if (isPlain) marks.delete(id);
    else marks.set(id, after);
  }

  return {
    /** Reads what an earlier tab has marked. */
    async load(): Promise<void> {
      for (const [id, stored] of await store.all()) marks.set(id, stored);
    },
    isFavourite: (id: ImageId): boolean => markOf(id).favourite,
    isDeleted: (id: ImageId): boolean => markOf(id).deletedAt !== null,
    /** All in the bin that were put there before a time. */
    deletedBefore: (time: number): ImageId[] =>
      [...marks].flatMap(([id, { deletedAt }]) => (deletedAt !== null && deletedAt < time ? [id] : [])),
    /** @throws DOMException `QuotaExceededError` */
    setFavourite: (id: ImageId, favourite: boolean): Promise<void> => mark(id, { favourite }),
    /** @throws DOMException `QuotaExceededError` */
    delete: (id: ImageId): Promise<void> => mark(id, { deletedAt: Date.now() }),
    restore: (id: ImageId): Promise<void> => mark(id, { deletedAt: null }),
    /** Forgets images that are gone for good. */
    async forget(ids: readonly ImageId[]): Promise<void> {
      const known = ids.filter((id) => marks.has(id));
      for (const id of known) marks.delete(id);
      if (known.length > 0) await store.removeAll(known);
    },
  };
}
