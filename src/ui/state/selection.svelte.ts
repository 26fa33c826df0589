import { SvelteSet } from 'svelte/reactivity';
import type { ImageId } from '#protocol/job.ts';

/** The images that are selected, while images are being selected. */
export class Selection {
  readonly #ids = new SvelteSet<ImageId>();
  #isOn = $state(false);
  /** Where a range begins. */
  #anchor: ImageId | null = null;
  #list: unknown;

  /** Whether a click selects. */
  get isOn(): boolean {
    return this.#isOn;
  }

  get size(): number {
    return this.#ids.size;
  }

  /** In the order of selecting. */
  get ids(): readonly ImageId[] {
    return [...this.#ids];
  }

  has(id: ImageId): boolean {
    return this.#ids.has(id);
  }

  start(): void {
    this.#isOn = true;
  }

  /** Selects an image, or no longer. */
  toggle(id: ImageId): void {
    this.#isOn = true;
    this.#anchor = id;
    if (!this.#ids.delete(id)) this.#ids.add(id);
  }

  /** Selects everything between the image selected last and this one. @param ids all in order */
  extendTo(id: ImageId, ids: readonly ImageId[]): void {
    const from = this.#anchor === null ? -1 : ids.indexOf(this.#anchor);
    const to = ids.indexOf(id);
    if (from < 0 || to < 0) {
      this.toggle(id);
      return;
    }
    this.add(ids.slice(Math.min(from, to), Math.max(from, to) + 1));
  }

  add(ids: readonly ImageId[]): void {
    this.#isOn = true;
    for (const id of ids) this.#ids.add(id);
  }

  /** What is selected in one list is not meant in another. @param list what names the list on show */
  useList(list: unknown): void {
    if (list === this.#list) return;
    this.#list = list;
    this.end();
  }

  /** Nothing is selected, and clicks no longer select. */
  end(): void {
    this.#ids.clear();
    this.#anchor = null;
    this.#isOn = false;
  }
}
