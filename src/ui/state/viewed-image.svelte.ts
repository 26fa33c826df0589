import type { GalleryImage, ImageId } from '#protocol/job.ts';
import type { Address } from './address.svelte.ts';
import type { Engine } from './engine.svelte.ts';

/** Images in order, as far as they have been read. */
interface Pages {
  items: readonly GalleryImage[];
  total: number;
  readMore(): Promise<void>;
}

/** The image that the address shows, and its neighbours. Made while a component is. */
export class ViewedImage {
  readonly #engine: Engine;
  readonly #address: Address;
  readonly #pages: () => Pages;
  /** One that is on none of the pages read so far. */
  #fetched = $state.raw<GalleryImage | null>(null);

  /** Its position in the list it was opened from; −1 for an image that is not in it. */
  readonly index: number = $derived.by(() => {
    const id = this.#address.image;
    return id === null ? -1 : this.#pages().items.findIndex((item) => item.id === id);
  });
  readonly item: GalleryImage | undefined = $derived.by(() => {
    const id = this.#address.image;
    if (id === null) return undefined;
    return this.#pages().items[this.index] ?? (this.#fetched?.id === id ? this.#fetched : undefined);
  });

  /**
   * @param pages those among which to turn
   * @param onmissing called for an address that leads to no image
   */
  constructor(engine: Engine, address: Address, pages: () => Pages, onmissing: (id: ImageId) => void) {
    this.#engine = engine;
    this.#address = address;
    this.#pages = pages;
    $effect(() => {
      const id = address.image;
      if (id === null || this.item) return undefined;
      let isCurrent = true;
      void engine
        .ask((host) => host.galleryItem(id))
        .then((found) => {
          if (!isCurrent) return;
          this.#fetched = found ?? null;
          if (!found) onmissing(id);
        });
      return () => {
        isCurrent = false;
      };
    });
  }

  get total(): number {
    return this.#pages().total;
  }

  get hasPrevious(): boolean {
    return this.index > 0;
  }

  get hasNext(): boolean {
    return this.index >= 0 && this.index < this.total - 1;
  }

  /** Shows a neighbour; the next page is read where it is needed. */
  async turn(by: 1 | -1): Promise<void> {
    if (this.index < 0) return;
    const target = this.index + by;
    if (target >= this.#pages().items.length) await this.#pages().readMore();
    const next = this.#pages().items[target];
    if (next) this.#address.openImage(next.id);
  }

  /** Makes the image a favourite, or no longer. */
  async toggleFavourite(): Promise<void> {
    const { item } = this;
    if (!item) return;
    const favourite = !item.favourite;
    await this.#engine.ask((host) => host.setFavourite(item.id, favourite));
    if (this.#fetched?.id === item.id) this.#fetched = { ...this.#fetched, favourite };
  }

  /** Shows what takes the place of an image that goes; nothing if it was the only one. */
  leave(): void {
    const { items } = this.#pages();
    const next = this.index < 0 ? undefined : (items[this.index + 1] ?? items[this.index - 1]);
    if (next) this.#address.openImage(next.id);
    else this.#address.closeImage();
  }
}
