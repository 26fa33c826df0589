import { SvelteSet } from 'svelte/reactivity';
import type { StoredImage } from '#protocol/job.ts';
import type { Engine } from './engine.svelte.ts';
import { UNDO_MS, type Notices } from './notices.svelte.ts';

/** The kept images as they are shown: a deleted one is hidden at once, and gone when undoing has passed. */
export class Gallery {
  readonly #engine: Engine;
  readonly #notices: Notices;
  readonly #hidden = new SvelteSet<string>();
  /** Hidden, and not yet deleted. */
  #pending: readonly string[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Newest first, as far as they have been read: see {@link readMore}. */
  readonly items: readonly StoredImage[] = $derived.by(() =>
    this.#hidden.size === 0
      ? this.#engine.images.items
      : this.#engine.images.items.filter((item) => !this.#hidden.has(item.id)),
  );
  /** All images, read or not. */
  readonly total: number = $derived.by(() => {
    const { items, total } = this.#engine.images;
    return total - (items.length - this.items.length);
  });
  /** Images of the job that finished last. */
  readonly latest: readonly StoredImage[] = $derived.by(() => {
    const jobId = this.items[0]?.jobId;
    return this.items.filter((item) => item.jobId === jobId).sort((a, b) => a.index - b.index);
  });

  constructor(engine: Engine, notices: Notices) {
    this.#engine = engine;
    this.#notices = notices;
  }

  get hasMore(): boolean {
    return this.#engine.images.hasMore;
  }

  /** Reads the next page of {@link items}. */
  readMore(): Promise<void> {
    return this.#engine.images.readMore();
  }

  /** Deletes an image, with some seconds to think again: of it and of those deleted in the same while. */
  remove(item: StoredImage): void {
    this.#hidden.add(item.id);
    this.#pending = [...this.#pending, item.id];
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      for (const id of this.#pending) void this.#delete(id);
      this.#pending = [];
    }, UNDO_MS);
    const count = this.#pending.length;
    this.#notices.show(count === 1 ? 'Image deleted.' : `${count} images deleted.`, {
      action: { label: 'Undo', run: () => this.#undo() },
    });
  }

  #undo(): void {
    clearTimeout(this.#timer);
    for (const id of this.#pending) this.#hidden.delete(id);
    this.#pending = [];
  }

  async #delete(id: string): Promise<void> {
    const deleted = await this.#engine.ask((host) => host.removeGalleryItem(id).then(() => true));
    // An image of a running job stays; the engine has said why.
    if (!deleted) this.#hidden.delete(id);
  }
}
