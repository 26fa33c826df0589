import type { Size } from '#protocol/job.ts';
import type { Area } from './mask-strokes.ts';

/** A point in pixels of the window, from the view's upper left corner. */
export interface Point {
  x: number;
  y: number;
}

const SMALLEST = 0.05;
const LARGEST = 16;

/** Pixels left free around a fitted image. */
const MARGIN = 24;

/** A small image is not shown larger than this of its own accord. */
const LARGEST_FIT = 3;

/** An image's place in the view: zoomed, then moved. */
export class EditorView {
  /** Pixels of the window for one of the image. */
  scale = $state(1);
  /** Of the image's upper left corner. */
  x = $state(0);
  y = $state(0);
  /** Whether it shows the whole image, until the reader zooms or moves. */
  #isFitted = true;

  get isFitted(): boolean {
    return this.#isFitted;
  }

  /** Shows all of an area of the image. */
  fit(view: Size, area: Area): void {
    this.#isFitted = true;
    const scale = Math.min(
      (view.width - 2 * MARGIN) / area.width,
      (view.height - 2 * MARGIN) / area.height,
      LARGEST_FIT,
    );
    this.scale = Math.max(SMALLEST, scale);
    this.x = view.width / 2 - (area.x + area.width / 2) * this.scale;
    this.y = view.height / 2 - (area.y + area.height / 2) * this.scale;
  }

  /** Zooms, with what is at a point staying there. */
  zoom(factor: number, { x, y }: Point): void {
    this.#isFitted = false;
    const scale = Math.min(LARGEST, Math.max(SMALLEST, this.scale * factor));
    const change = scale / this.scale;
    this.x = x - (x - this.x) * change;
    this.y = y - (y - this.y) * change;
    this.scale = scale;
  }

  move(byX: number, byY: number): void {
    this.#isFitted = false;
    this.x += byX;
    this.y += byY;
  }

  /** From the view to pixels of the image. */
  toImage({ x, y }: Point): Point {
    return { x: (x - this.x) / this.scale, y: (y - this.y) / this.scale };
  }
}
