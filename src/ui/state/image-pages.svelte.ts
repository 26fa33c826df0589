import { SvelteSet } from 'svelte/reactivity';
import type { GalleryPage, HostEvent } from '#protocol/engine-host.ts';
import type { GalleryImage, ImageId } from '#protocol/job.ts';

const PAGE = 60;

type ReadPage = (limit: number, after?: string) => Promise<GalleryPage | undefined>;

/** What is kept of the images that come while pages are read. */
interface PagesOptions {
  /** Whether an image that comes belongs here; all do by default. */
  accepts?: (image: GalleryImage) => boolean;
  oldestFirst?: boolean;
  /** They are in the bin, of whose changes no event says more than that there were some. */
  isBin?: boolean;
}

/** Images of the host's gallery, read page by page, and kept up to date by the host's events. */
export class ImagePages {
  readonly #readPage: ReadPage;
  readonly #accepts: (image: GalleryImage) => boolean;
  readonly #oldestFirst: boolean;
  readonly #isBin: boolean;
  #items = $state.raw<readonly GalleryImage[]>([]);
  #total = $state(0);
  #next = $state.raw<string | null>(null);
  #reading: { run: number; done: Promise<void> } | null = null;
  /** Counts restarts: a page of an earlier host is not added to a later one's. */
  #run = 0;
  /** What came and went since the restart: a page may have been read before that and arrive after it. */
  readonly #added = new SvelteSet<ImageId>();
  readonly #removed = new SvelteSet<ImageId>();

  constructor(
    readPage: ReadPage,
    { accepts = () => true, oldestFirst = false, isBin = false }: PagesOptions = {},
  ) {
    this.#readPage = readPage;
    this.#accepts = accepts;
    this.#oldestFirst = oldestFirst;
    this.#isBin = isBin;
  }

  /** In order, as far as they have been read. */
  get items(): readonly GalleryImage[] {
    return this.#items;
  }

  /** Images in the whole gallery, read or not. */
  get total(): number {
    return this.hasMore ? Math.max(this.#total, this.#items.length) : this.#items.length;
  }

  get hasMore(): boolean {
    return this.#next !== null;
  }

  /** Reads the first page, of a new host. */
  restart(): Promise<void> {
    this.#run += 1;
    this.#added.clear();
    this.#removed.clear();
    return this.#begin();
  }

  /** Reads the next page, if there is one. */
  readMore(): Promise<void> {
    if (this.#reading?.run === this.#run) return this.#reading.done;
    return this.#next === null ? Promise.resolve() : this.#begin(this.#next);
  }

  apply(event: Extract<HostEvent, { type: 'gallery' }>): void {
    if (this.#isBin) {
      void this.restart();
      return;
    }
    const added = event.added.filter(this.#accepts);
    for (const id of event.removed) {
      this.#removed.add(id);
      this.#added.delete(id);
    }
    for (const { id } of added) {
      this.#added.add(id);
      this.#removed.delete(id);
    }
    const addedIds = new SvelteSet(added.map(({ id }) => id));
    const removedIds = new SvelteSet(event.removed);
    const left = this.#items.filter(({ id }) => !removedIds.has(id));
    const others = left.filter(({ id }) => !addedIds.has(id));
    const replaced = left.length - others.length;
    // What belongs behind the last page read will be on a later one.
    const last = this.hasMore ? others.at(-1) : undefined;
    const placed = last ? added.filter((image) => this.#compare(image, last) < 0) : added;
    this.#total += added.length - replaced - event.removed.length;
    this.#items = placed.length === 0 ? others : [...placed, ...others].sort((a, b) => this.#compare(a, b));
  }

  /** Marks an image; one that is no longer meant stays until the pages are read again, so that a slip is corrected in place. */
  setFavourite(id: ImageId, favourite: boolean): void {
    if (!this.#items.some((image) => image.id === id)) return;
    this.#items = this.#items.map((image) => (image.id === id ? { ...image, favourite } : image));
  }

  #compare(a: GalleryImage, b: GalleryImage): number {
    const newestFirst = b.createdAt - a.createdAt || b.index - a.index;
    return this.#oldestFirst ? -newestFirst : newestFirst;
  }

  #begin(after?: string): Promise<void> {
    const reading = { run: this.#run, done: this.#read(this.#run, after) };
    this.#reading = reading;
    reading.done = reading.done.finally(() => {
      if (this.#reading === reading) this.#reading = null;
    });
    return reading.done;
  }

  async #read(run: number, after?: string): Promise<void> {
    const page = await this.#readPage(PAGE, after);
    if (!page || run !== this.#run) return;
    // The first page replaces what an earlier host reported.
    const kept = after === undefined ? this.#items.filter(({ id }) => this.#added.has(id)) : this.#items;
    this.#items = [
      ...kept,
      ...page.items.filter(({ id }) => !kept.some((image) => image.id === id) && !this.#removed.has(id)),
    ];
    this.#next = page.next;
    this.#total = page.total;
  }
}
