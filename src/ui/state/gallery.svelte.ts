import { SvelteSet } from 'svelte/reactivity';
import type { GalleryItem } from '#protocol/engine-host.ts';
import type { Engine } from './engine.svelte.ts';
import type { Notices } from './notices.svelte.ts';

const UNDO_MS = 6000;

/** The kept images as they are shown: a deleted one is hidden at once, and gone when undoing has passed. */
export class Gallery {
  readonly #engine: Engine;
  readonly #notices: Notices;
  readonly #hidden = new SvelteSet<string>();

  readonly items: readonly GalleryItem[] = $derived.by(() =>
    this.#engine.gallery.filter((item) => !this.#hidden.has(item.id)),
  );
  /** Images of the job that finished last. */
  readonly latest: readonly GalleryItem[] = $derived.by(() => {
    const jobId = this.items[0]?.jobId;
    return this.items.filter((item) => item.jobId === jobId).sort((a, b) => a.index - b.index);
  });

  constructor(engine: Engine, notices: Notices) {
    this.#engine = engine;
    this.#notices = notices;
  }

  /** Deletes an image, with a few seconds to think again. */
  remove(item: GalleryItem): void {
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
