import type { EditorView, Point } from './editor-view.svelte.ts';
import type { MaskEditor } from './mask-editor.svelte.ts';

const MIDDLE_BUTTON = 1;

/** The lightest touch of a pen still leaves this part of the brush. */
const LEAST_PRESSURE = 0.1;

/**
 * What fingers, pens and the mouse do in the editor: one of them marks, two fingers move and zoom, the middle button moves.
 */
export class Pointers {
  readonly #view: EditorView;
  readonly #editor: () => MaskEditor;
  readonly #pick: (point: Point) => void;
  readonly #down = new Map<number, Point>();
  #does: 'nothing' | 'stroke' | 'move' = 'nothing';

  /** @param pick called with pixels of the image, when one is picked */
  constructor(view: EditorView, editor: () => MaskEditor, pick: (point: Point) => void) {
    this.#view = view;
    this.#editor = editor;
    this.#pick = pick;
  }

  /** @param element the view; it gets the pointer until it is let go */
  press(event: PointerEvent, element: Element): void {
    if (event.pointerType === 'mouse' && event.button > MIDDLE_BUTTON) return;
    element.setPointerCapture(event.pointerId);
    const point = pointOf(event, element);
    this.#down.set(event.pointerId, point);
    const editor = this.#editor();
    if (this.#down.size > 1) {
      if (this.#does === 'stroke') editor.cancelStroke();
      this.#does = 'move';
    } else if (editor.tool === 'move' || event.button === MIDDLE_BUTTON) {
      this.#does = 'move';
    } else if (editor.tool === 'pick') {
      this.#does = 'nothing';
      this.#pick(this.#view.toImage(point));
    } else {
      this.#does = 'stroke';
      const { x, y } = this.#view.toImage(point);
      editor.beginStroke(x, y, pressureOf(event));
    }
  }

  drag(event: PointerEvent, element: Element): void {
    const before = this.#down.get(event.pointerId);
    if (!before) return;
    const point = pointOf(event, element);
    if (this.#does === 'stroke') {
      const steps = event.getCoalescedEvents();
      for (const step of steps.length > 0 ? steps : [event]) {
        const { x, y } = this.#view.toImage(pointOf(step, element));
        this.#editor().continueStroke(x, y, pressureOf(step));
      }
    } else if (this.#does === 'move') {
      this.#pinch(event.pointerId, before, point);
    }
    this.#down.set(event.pointerId, point);
  }

  release(event: PointerEvent): void {
    if (!this.#down.delete(event.pointerId)) return;
    if (this.#does === 'stroke') this.#editor().endStroke();
    // A finger left over after a pinch does not mark anything.
    if (this.#down.size === 0 || this.#does === 'stroke') this.#does = 'nothing';
  }

  #pinch(id: number, before: Point, now: Point): void {
    const other = [...this.#down].find(([otherId]) => otherId !== id)?.[1];
    if (!other) {
      this.#view.move(now.x - before.x, now.y - before.y);
      return;
    }
    // The other finger stays where it is, so that half of this one's way is the middle's.
    this.#view.move((now.x - before.x) / 2, (now.y - before.y) / 2);
    const length = (point: Point) => Math.max(1, Math.hypot(point.x - other.x, point.y - other.y));
    this.#view.zoom(length(now) / length(before), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
  }
}

/** Where a pointer is, from the upper left corner of an element. */
export function pointOf({ clientX, clientY }: MouseEvent, element: Element): Point {
  const { left, top } = element.getBoundingClientRect();
  return { x: clientX - left, y: clientY - top };
}

function pressureOf({ pointerType, pressure }: PointerEvent): number {
  return pointerType === 'pen' ? Math.max(LEAST_PRESSURE, pressure) : 1;
}
