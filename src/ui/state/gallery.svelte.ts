import { SvelteSet } from 'svelte/reactivity';
import type { StoredImage } from '#protocol/job.ts';
import type { Engine } from './engine.svelte.ts';
import type { Notices } from './notices.svelte.ts';

const UNDO_MS = 6000;

/** The kept images as they are shown: a deleted one is hidden at once, and gone when undoing has passed. */
export class Gallery {
  readonly #engine: Engine;
  readonly #notices: Notices;
  readonly #hidden = new SvelteSet<string>();

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

  /** Deletes an image, with a few seconds to think again. */
  remove(item: StoredImage): void {
    this.#hidden.add(item.id);
    const timer = setTimeout(() => {
      void this.#delete(item.id);
    }, UNDO_MS);
    this.#notices.show('Image deleted.', {
      action: {
        label: 'Undo',
        run: () => {
          clearTimeout(timer);
          this.#hidden.delete(item.id);
        },
      },
    });
  }

  async #delete(id: string): Promise<void> {
    const deleted = await this.#engine.ask((host) => host.removeGalleryItem(id).then(() => true));
    // An image of a running job stays; the engine has said why.
    if (!deleted) this.#hidden.delete(id);
  }
}
