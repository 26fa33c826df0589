import type { GalleryPage, HostEvent } from '#protocol/engine-host.ts';
import { AppError, toAppError } from '#protocol/error.ts';
import {
  isFiltered,
  matcherOf,
  type GalleryPrompt,
  type GalleryQuery,
  type MadeBy,
} from '#protocol/gallery.ts';
import type { GalleryImage, ImageId, JobId, JobRecord, StoredImage } from '#protocol/job.ts';
import type { ModelId } from '#protocol/model.ts';
import { factsOf } from '#protocol/tasks.ts';
import type { ImageMarks } from '#storage/image-marks.ts';
import { positionOf, type GalleryKey, type GalleryPosition, type Images } from '#storage/images.ts';
import { createBinAndFavourites } from './bin-and-favourites.ts';

/** Newest first. */
function compare(a: GalleryPosition | GalleryKey, b: GalleryPosition | GalleryKey): number {
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

const keyOf = (image: StoredImage): GalleryKey => [...positionOf(image), image.prompt];

/** The job of an image. */
const jobOf = (id: ImageId): JobId => id.slice(0, id.lastIndexOf('/'));

/** Of images whose job is not known yet. */
const UNKNOWN: MadeBy = { model: null, kind: null };

/**
 * The finished images of all jobs: those in storage, and those that storage has not taken, which last as long as this tab.
 * Watchers see an image before it is stored, which can take as long as a step: whether storage takes it or not, this tab has it,
 * and a job that loses its tab before it is stored makes it again. Images in the bin are seen by the gallery alone.
 */
export function createFinishedImages(images: Images, marks: ImageMarks, emit: (event: HostEvent) => void) {
  /** Not stored, or not yet. */
  const unstored = new Map<ImageId, StoredImage>();
  /** All images of the job that began last, in this tab's memory: whoever waits for it asks for them the moment it ends. */
  let fresh: { jobId: JobId; images: Map<ImageId, StoredImage> } | null = null;
  /** By job, so that filters need no look into the records. */
  const madeBy = new Map<JobId, MadeBy>();
  const marked = createBinAndFavourites(marks);

  const unstoredOf = (id: JobId) => [...unstored.values()].filter(({ jobId }) => jobId === id);
  const toGalleryImage = (image: StoredImage): GalleryImage => ({
    ...image,
    ...(madeBy.get(image.jobId) ?? UNKNOWN),
    favourite: marked.isFavourite(image.id),
  });
  const added = (...shown: readonly StoredImage[]) =>
    emit({ type: 'gallery', added: shown.map(toGalleryImage), removed: [] });

  async function store(image: StoredImage): Promise<void> {
    await images.put(image);
    if (unstored.get(image.id) === image) unstored.delete(image.id);
  }

  async function allOfJob(id: JobId): Promise<StoredImage[]> {
    const known = fresh?.jobId === id ? [...fresh.images.values()] : undefined;
    const own = known ?? [...(await images.ofJob(id)), ...unstoredOf(id)];
    return [...new Map(own.map((image) => [image.id, image])).values()].sort((a, b) => a.index - b.index);
  }

  const get = async (id: ImageId) => unstored.get(id) ?? (await images.get(id));

  async function find(id: ImageId): Promise<StoredImage | undefined> {
    return marked.isDeleted(id) ? undefined : get(id);
  }

  /** What decides whether the image of a key is meant. */
  function accepts(query: GalleryQuery): (key: GalleryKey) => boolean {
    const matches = matcherOf(query);
    return ([, , id, prompt]) =>
      marked.isDeleted(id) === (query.deleted ?? false) &&
      matches({ prompt, favourite: marked.isFavourite(id), ...(madeBy.get(jobOf(id)) ?? UNKNOWN) });
  }

  const inOrder = (keys: GalleryKey[], { oldestFirst = false }: GalleryQuery) =>
    keys.sort((a, b) => (oldestFirst ? compare(b, a) : compare(a, b)));

  /** The keys of all images that are meant, in order. */
  async function keysOf(query: GalleryQuery): Promise<GalleryKey[]> {
    const accept = accepts(query);
    const stored = await images.keys({ accept, oldestFirst: query.oldestFirst });
    return inOrder([...stored, ...unstoredKeys(stored, accept)], query);
  }

  function unstoredKeys(stored: readonly GalleryKey[], accept: (key: GalleryKey) => boolean): GalleryKey[] {
    if (unstored.size === 0) return [];
    const known = new Set(stored.map(([, , id]) => id));
    return [...unstored.values()].map(keyOf).filter((key) => !known.has(key[2]) && accept(key));
  }

  return {
    /** Reads the bin and the favourites; nothing else is asked before. */
    load: () => marked.load(),

    /** From now on the images of a job are found by what made them. */
    learnJob({ id, job }: Pick<JobRecord, 'id' | 'job'>): void {
      madeBy.set(id, factsOf(job).madeBy(job));
    },

    /** See {@link EngineHost.galleryModels}. */
    models: (): ModelId[] => [
      ...new Set([...madeBy.values()].map(({ model }) => model).filter((model) => model !== null)),
    ],

    /** A job begins that has no images yet. */
    begin(id: JobId): void {
      fresh = { jobId: id, images: new Map() };
    },

    /** Stores an image; one that storage does not take is kept for {@link settle}. */
    async add(image: StoredImage): Promise<void> {
      unstored.set(image.id, image);
      if (fresh?.jobId === image.jobId) fresh.images.set(image.id, image);
      added(image);
      // Tried again when the job ends.
      await store(image).catch(() => undefined);
    },

    /** Tries to store what a job still has unstored. @returns why that was in vain, or null */
    async settle(id: JobId): Promise<AppError | null> {
      let failure: AppError | null = null;
      for (const image of unstoredOf(id)) {
        await store(image).catch((thrown: unknown) => (failure = toAppError(thrown)));
      }
      return failure;
    },

    /** Those that are not in the bin. */
    ofJob: async (id: JobId): Promise<StoredImage[]> =>
      (await allOfJob(id)).filter((image) => !marked.isDeleted(image.id)),

    /** Those in the bin as well. */
    allOfJob,

    /** Whether storage has an image, so that it outlives this tab. */
    isStored: (id: ImageId): boolean => !unstored.has(id),

    isInBin: marked.isDeleted,

    /** One that is not in the bin. */
    find,

    /** One that may be in the bin. */
    get,

    async findForGallery(id: ImageId): Promise<GalleryImage | undefined> {
      const image = await find(id);
      return image && toGalleryImage(image);
    },

    /** Of an image that there is. */
    async setFavourite(id: ImageId, favourite: boolean): Promise<void> {
      if (!(await find(id))) return;
      await marked.setFavourite(id, favourite);
      emit({ type: 'favourite', id, favourite });
    },

    /** @returns those for whose place in the bin there is no room */
    async moveToBin(ids: readonly ImageId[]): Promise<ImageId[]> {
      const [removed, left]: [ImageId[], ImageId[]] = [[], []];
      for (const id of ids)
        await marked.delete(id).then(
          () => removed.push(id),
          () => left.push(id),
        );
      if (removed.length > 0) emit({ type: 'gallery', added: [], removed });
      return left;
    },

    /** @returns those that were in the bin, newest first */
    async restore(ids: readonly ImageId[]): Promise<StoredImage[]> {
      const restored: StoredImage[] = [];
      for (const id of ids) {
        const image = marked.isDeleted(id) ? await get(id) : undefined;
        if (!image) continue;
        await marked.restore(id);
        restored.push(image);
      }
      restored.sort((a, b) => compare(positionOf(a), positionOf(b)));
      if (restored.length > 0) added(...restored);
      return restored;
    },

    /** What was put into the bin before a time. */
    inBinBefore: marked.deletedBefore,

    async remove(id: ImageId): Promise<void> {
      unstored.delete(id);
      fresh?.images.delete(id);
      await images.remove(id);
      // It left the gallery when it was put into the bin.
      const removed = marked.isDeleted(id) ? [] : [id];
      await marked.forget([id]);
      emit({ type: 'gallery', added: [], removed });
    },

    async removeJob(id: JobId): Promise<void> {
      const removed = (await allOfJob(id)).map((image) => image.id);
      for (const image of removed) {
        unstored.delete(image);
        fresh?.images.delete(image);
      }
      await images.removeJob(id);
      const shown = removed.filter((image) => !marked.isDeleted(image));
      await marked.forget(removed);
      if (removed.length > 0) emit({ type: 'gallery', added: [], removed: shown });
    },

    /** Deletes the images of jobs that are gone: a tab was closed while it deleted them. */
    async removeOrphans(isKnown: (id: JobId) => boolean): Promise<void> {
      for (const id of await images.ids()) {
        if (isKnown(jobOf(id))) continue;
        await images.remove(id);
        await marked.forget([id]);
      }
    },

    /** See {@link EngineHost.gallery}. @throws AppError `invalid_request` for an `after` that no page has returned */
    async page(limit: number, after?: string, query: GalleryQuery = {}): Promise<GalleryPage> {
      const position = after === undefined ? undefined : parseCursor(after);
      const { oldestFirst = false } = query;
      const isBehind = (key: GalleryKey) =>
        !position || (oldestFirst ? compare(position, key) : compare(key, position)) > 0;
      let keys: GalleryKey[];
      let total: number;
      if (isFiltered(query) || query.deleted) {
        const all = await keysOf(query);
        total = all.length;
        keys = all.filter(isBehind);
      } else {
        // How many there are is known without reading them all.
        const accept = accepts(query);
        const [stored, count] = await Promise.all([
          images.keys({ accept, oldestFirst, after: position, limit: limit + 1 }),
          images.count(),
        ]);
        keys = inOrder([...stored, ...unstoredKeys(stored, accept).filter(isBehind)], query);
        total = count + unstored.size - marked.deletedBefore(Infinity).length;
      }
      const shown = keys.slice(0, limit);
      const stored = new Map(
        (await images.getMany(shown.map(([, , id]) => id))).map((image) => [image.id, image]),
      );
      const items = shown.flatMap(([, , id]) => unstored.get(id) ?? stored.get(id) ?? []);
      const last = shown.at(-1);
      const next = keys.length > limit && last ? last.slice(0, 3).join(' ') : null;
      return { items: items.map(toGalleryImage), next, total };
    },

    /** See {@link EngineHost.galleryPrompts}. */
    prompts: async (): Promise<GalleryPrompt[]> =>
      (await keysOf({})).map(([, , id, prompt]) => ({ id, prompt })),

    /** See {@link EngineHost.galleryIds}. */
    ids: async (query: GalleryQuery): Promise<ImageId[]> => (await keysOf(query)).map(([, , id]) => id),
  };
}

export type FinishedImages = ReturnType<typeof createFinishedImages>;
