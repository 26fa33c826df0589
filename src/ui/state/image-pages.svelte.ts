import { SvelteSet } from 'svelte/reactivity';
import type { GalleryPage, HostEvent } from '#protocol/engine-host.ts';
import type { ImageId, StoredImage } from '#protocol/job.ts';

const PAGE = 60;

type ReadPage = (limit: number, after?: string) => Promise<GalleryPage | undefined>;

/** The host's gallery, read page by page from the newest image on, and kept up to date by the host's events. */
export class ImagePages {
  readonly #readPage: ReadPage;
  #items = $state.raw<readonly StoredImage[]>([]);
  #total = $state(0);
  #next = $state.raw<string | null>(null);
  #reading: { run: number; done: Promise<void> } | null = null;
  /** Counts restarts: a page of an earlier host is not added to a later one's. */
  #run = 0;
  /** What came and went since the restart: a page may have been read before that and arrive after it. */
  readonly #added = new SvelteSet<ImageId>();
  readonly #removed = new SvelteSet<ImageId>();

  constructor(readPage: ReadPage) {
    this.#readPage = readPage;
  }

  /** Newest first. */
  get items(): readonly StoredImage[] {
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

  apply({ added, removed }: Extract<HostEvent, { type: 'gallery' }>): void {
    for (const id of removed) {
      this.#removed.add(id);
      this.#added.delete(id);
    }
    for (const { id } of added) {
      this.#added.add(id);
      this.#removed.delete(id);
    }
    const replaced = this.#items.filter(({ id }) => added.some((image) => image.id === id)).length;
    this.#items = [
      ...added,
      ...this.#items.filter(({ id }) => !this.#removed.has(id) && !added.some((image) => image.id === id)),
    ];
    this.#total += added.length - replaced - removed.length;
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
