import type { GalleryImage, ImageId } from '#protocol/job.ts';
import type { Engine } from './engine.svelte.ts';
import { UNDO_MS, type Notices } from './notices.svelte.ts';

/** The finished images, newest first, and what can be done with them. */
export class Gallery {
  readonly #engine: Engine;
  readonly #notices: Notices;
  /** Deleted, and still to be undone together. */
  #deleted: readonly ImageId[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Newest first, as far as they have been read: see {@link readMore}. */
  readonly items: readonly GalleryImage[] = $derived.by(() => this.#engine.images.items);
  /** All images, read or not. */
  readonly total: number = $derived.by(() => this.#engine.images.total);
  /** Images of the job that finished last. */
  readonly latest: readonly GalleryImage[] = $derived.by(() => {
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

  /** Moves images to the bin, with some seconds to undo it: for them and for those deleted in the same while. */
  async remove(ids: readonly ImageId[]): Promise<void> {
    // An image of a running job stays; the engine has said why.
    if (!(await this.#engine.ask((host) => host.deleteImages(ids).then(() => true)))) return;
    this.#deleted = [...this.#deleted, ...ids];
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (this.#deleted = []), UNDO_MS);
    const count = this.#deleted.length;
    this.#notices.show(count === 1 ? 'Image deleted.' : `${count} images deleted.`, {
      action: { label: 'Undo', run: () => void this.#undo() },
    });
  }

  /** Takes images out of the bin. */
  async restore(ids: readonly ImageId[]): Promise<void> {
    const restored = await this.#engine.ask((host) => host.restoreImages(ids));
    if (restored && restored.length < ids.length)
      this.#notices.show(
        restored.length === 0 && ids.length === 1
          ? 'The image could not be restored: it has been deleted for good.'
          : `${ids.length - restored.length} of ${ids.length} images could not be restored: they have been deleted for good.`,
        { tone: 'error' },
      );
  }

  /** Deletes images in the bin for good; all of them unless some are named. */
  async emptyBin(ids?: readonly ImageId[]): Promise<void> {
    await this.#engine.ask((host) => host.emptyBin(ids));
  }

  async #undo(): Promise<void> {
    clearTimeout(this.#timer);
    const ids = this.#deleted;
    this.#deleted = [];
    await this.restore(ids);
  }
}
