import { createStore, del, delMany, entries, set } from 'idb-keyval';
import type { ImageId } from '#protocol/job.ts';

/** What can change about a finished image. */
export interface ImageMark {
  favourite: boolean;
  /** Epoch milliseconds; null unless it is in the bin. */
  deletedAt: number | null;
}

/** The marks of images, apart from the images: to store an image again is to copy its file. */
export function openImageMarks(database = 'vitrine-image-marks') {
  const store = createStore(database, 'marks');
  return {
    all: (): Promise<[ImageId, ImageMark][]> => entries<ImageId, ImageMark>(store),
    /** @throws DOMException `QuotaExceededError` */
    put: (id: ImageId, mark: ImageMark): Promise<void> => set(id, mark, store),
    remove: (id: ImageId): Promise<void> => del(id, store),
    removeAll: (ids: readonly ImageId[]): Promise<void> => delMany([...ids], store),
  };
}

export type ImageMarks = ReturnType<typeof openImageMarks>;
