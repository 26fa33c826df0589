import { flushSync, untrack } from 'svelte';
import type { Attachment } from 'svelte/attachments';

/** Rows on either side that are rendered in a frame before they are in sight: more would be seen as a stutter. */
const ROWS_PER_FRAME = 2;

interface Place {
  index: number;
  /** Grid lines, from 1. */
  row: number;
  column: number;
}

/**
 * A grid of square cells of which only those in the window, or within one height of it, are rendered: with thousands the layout
 * of all takes longer than a frame at each page that is added. The grid has its whole height, each cell its own row and column,
 * so that nothing moves when others come and go. The button of a cell that has the focus stays whatever is scrolled.
 *
 * The cells are one stop of the Tab key; arrow keys, Home and End move among all of them, rendered or not.
 */
export class WindowedGrid<T extends { id: string }> {
  readonly #items: () => readonly T[];
  #columns = $state(1);
  #firstRow = $state(0);
  #endRow = $state(0);
  #cellSize = $state(0);
  #current = $state<string | null>(null);
  #hasFocus = $state(false);
  #nextLook: number | null = null;

  readonly rowCount: number = $derived.by(() => Math.ceil(this.#items().length / this.#columns));
  readonly #currentIndex: number = $derived.by(() => {
    const id = this.#current;
    return id === null ? -1 : this.#items().findIndex((item) => item.id === id);
  });
  /** Where the items that are rendered stand among all. */
  readonly #indexes: readonly number[] = $derived.by(() => {
    const first = this.#firstRow * this.#columns;
    const end = Math.max(first, Math.min(this.#items().length, this.#endRow * this.#columns));
    const indexes = Array.from({ length: end - first }, (_, offset) => first + offset);
    const focused = this.#hasFocus ? this.#currentIndex : -1;
    if (focused < 0 || (focused >= first && focused < end)) return indexes;
    return focused < first ? [focused, ...indexes] : [...indexes, focused];
  });
  /** What is rendered, in order. */
  readonly rendered: readonly T[] = $derived.by(() =>
    this.#indexes.flatMap((index) => this.#items()[index] ?? []),
  );
  /** The cell that the Tab key stops at: the one that had the focus last, if it is rendered. */
  readonly tabStop: string | undefined = $derived.by(() => {
    const id = this.#current;
    return id !== null && this.rendered.some((item) => item.id === id) ? id : this.rendered[0]?.id;
  });

  /** @param items in order; read again whenever they change */
  constructor(items: () => readonly T[]) {
    this.#items = items;
  }

  /** Pixels of a cell's side; 0 until the grid has been laid out. */
  get cellSize(): number {
    return this.#cellSize;
  }

  /** To be attached to the list, a CSS grid, whose items have `aria-posinset` and one button each. */
  readonly attach: Attachment<HTMLElement> = (list) => {
    const gone = new AbortController();
    const { signal } = gone;
    const look = () => this.#look(list, look);
    const observer = new ResizeObserver(look);
    observer.observe(list);
    // Whatever scrolls around the list.
    document.addEventListener('scroll', look, { capture: true, passive: true, signal });
    addEventListener('resize', look, { signal });
    list.addEventListener('focusin', (event) => this.#follow(event), { signal });
    // Afterwards: a button that is removed loses the focus in the middle of rendering.
    const leave = () => queueMicrotask(() => (this.#hasFocus = list.contains(document.activeElement)));
    list.addEventListener('focusout', leave, { signal });
    list.addEventListener('keydown', (event) => this.#move(event, list), { signal });
    untrack(look);
    return () => {
      gone.abort();
      if (this.#nextLook !== null) cancelAnimationFrame(this.#nextLook);
      observer.disconnect();
    };
  };

  /** Where one of {@link rendered} is, by its position there. */
  placeOf(position: number): Place {
    const index = this.#indexes[position] ?? 0;
    const columns = this.#columns;
    return { index, row: Math.floor(index / columns) + 1, column: (index % columns) + 1 };
  }

  /** Finds out which rows are in the window or near it. */
  #look(list: HTMLElement, again: () => void): void {
    if (this.#nextLook !== null) cancelAnimationFrame(this.#nextLook);
    this.#nextLook = null;
    // A list that is not displayed has no layout: what it showed stays.
    if (list.offsetWidth === 0) return;
    const style = getComputedStyle(list);
    const widths = style.gridTemplateColumns.split(' ');
    const size = parseFloat(widths[0] ?? '0');
    const pitch = size + parseFloat(style.rowGap);
    const { top } = list.getBoundingClientRect();
    this.#columns = widths.length;
    this.#cellSize = size;
    const rowAt = (y: number) => Math.max(0, (y - top) / pitch);
    const [first, end] = [Math.floor(rowAt(0)), Math.ceil(rowAt(innerHeight))];
    const [farFirst, farEnd] = [Math.floor(rowAt(-innerHeight)), Math.ceil(rowAt(2 * innerHeight))];
    // What comes into sight is rendered at once; what is near, a few rows in each frame.
    const [before, after] = [this.#firstRow, this.#endRow];
    const jumped = before > end || after < first;
    this.#firstRow = jumped ? first : Math.max(farFirst, Math.min(first, before - ROWS_PER_FRAME));
    this.#endRow = jumped ? end : Math.min(farEnd, Math.max(end, after + ROWS_PER_FRAME));
    if (this.#firstRow > farFirst || this.#endRow < farEnd) this.#nextLook = requestAnimationFrame(again);
  }

  #follow({ target }: FocusEvent): void {
    const index = indexOf(target);
    const item = index === undefined ? undefined : this.#items()[index];
    if (!item) return;
    this.#current = item.id;
    this.#hasFocus = true;
  }

  #move(event: KeyboardEvent, list: HTMLElement): void {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const from = indexOf(event.target);
    const to = from === undefined ? undefined : this.#target(event.key, from);
    const item = to === undefined ? undefined : this.#items()[to];
    if (to === undefined || !item) return;
    event.preventDefault();
    // Rendered first, if it is far away: only then can it be given the focus.
    this.#current = item.id;
    this.#hasFocus = true;
    flushSync();
    list.querySelector<HTMLElement>(`[aria-posinset="${to + 1}"] button`)?.focus();
  }

  #target(key: string, from: number): number | undefined {
    switch (key) {
      case 'ArrowLeft':
        return from - 1;
      case 'ArrowRight':
        return from + 1;
      case 'ArrowUp':
        return from - this.#columns;
      case 'ArrowDown':
        return from + this.#columns;
      case 'Home':
        return 0;
      case 'End':
        return this.#items().length - 1;
    }
    return undefined;
  }
}

/** Which cell a button is in. */
function indexOf(target: EventTarget | null): number | undefined {
  const position =
    target instanceof Element && target.closest('[aria-posinset]')?.getAttribute('aria-posinset');
  return position ? Number(position) - 1 : undefined;
}
