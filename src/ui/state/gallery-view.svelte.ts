import { untrack } from 'svelte';
import { isFiltered, type GalleryQuery, type ImageKind } from '#protocol/gallery.ts';
import type { GalleryImage, ImageId } from '#protocol/job.ts';
import type { ModelId } from '#protocol/model.ts';
import type { Engine } from './engine.svelte.ts';
import type { ImagePages } from './image-pages.svelte.ts';

/** Milliseconds after the last key of a search before it is read. */
const TYPING_MS = 200;

/** What the gallery's panel shows: all images, or those that are searched for. Made while a component is. */
export class GalleryView {
  readonly #engine: Engine;
  text = $state('');
  model = $state<ModelId | null>(null);
  kind = $state<ImageKind | null>(null);
  favourites = $state(false);
  oldestFirst = $state(false);
  /** The bin instead of the gallery. */
  showsBin = $state(false);
  #pages: ImagePages = $state.raw() as ImagePages;

  readonly query: GalleryQuery = $derived.by(() =>
    this.showsBin
      ? { deleted: true }
      : {
          ...(this.text.trim() !== '' && { text: this.text.trim() }),
          ...(this.model !== null && { model: this.model }),
          ...(this.kind !== null && { kind: this.kind }),
          ...(this.favourites && { favourites: true }),
          ...(this.oldestFirst && { oldestFirst: true }),
        },
  );
  /** Whether conditions leave images out. */
  readonly isFiltered: boolean = $derived.by(() => isFiltered(this.query));

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#pages = engine.images;
    let lastText = '';
    $effect(() => {
      const { query } = this;
      const wait = query.text === lastText ? 0 : TYPING_MS;
      const timer = setTimeout(() => {
        lastText = query.text ?? '';
        void this.#show(query);
      }, wait);
      return () => clearTimeout(timer);
    });
  }

  get items(): readonly GalleryImage[] {
    return this.#pages.items;
  }

  get total(): number {
    return this.#pages.total;
  }

  get hasMore(): boolean {
    return this.#pages.hasMore;
  }

  readMore(): Promise<void> {
    return this.#pages.readMore();
  }

  /** The ids of all images that are meant, read or not. */
  async ids(): Promise<ImageId[]> {
    const { query } = this;
    return (await this.#engine.ask((host) => host.galleryIds(query))) ?? [];
  }

  clear(): void {
    this.text = '';
    this.model = null;
    this.kind = null;
    this.favourites = false;
  }

  /** What was shown stays until its successor has been read. */
  async #show(query: GalleryQuery): Promise<void> {
    const { images } = this.#engine;
    const isPlain = Object.keys(query).length === 0;
    const next = isPlain ? images : this.#engine.openPages(query);
    if (!isPlain) await next.restart();
    if (untrack(() => this.query) !== query) {
      if (!isPlain) this.#engine.closePages(next);
      return;
    }
    const before = this.#pages;
    this.#pages = next;
    if (before !== images) this.#engine.closePages(before);
  }
}
