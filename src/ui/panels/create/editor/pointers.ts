import type { EditorView, Point } from './editor-view.svelte.ts';
import type { LayerTool } from './layer-tool.svelte.ts';
import type { MaskEditor } from './mask-editor.svelte.ts';

const MIDDLE_BUTTON = 1;

/** The lightest touch of a pen still leaves this part of the brush. */
const LEAST_PRESSURE = 0.1;

/** Pixels of the window: how near a layer's corner is near enough, for a mouse and for a finger. */
const REACH = { fine: 12, coarse: 24 };

/** What pointers work on. */
interface Targets {
  view: EditorView;
  editor: MaskEditor;
  layers: LayerTool;
  /** Called with pixels of the image that are clicked with a tool that selects. */
  pick: (point: Point) => void;
}

/**
 * What fingers, pens and the mouse do in the editor: one of them marks, or moves a layer; two fingers move and zoom, the
 * middle button moves.
 */
export class Pointers {
  readonly #targets: Targets;
  readonly #down = new Map<number, Point>();
  #does: 'nothing' | 'stroke' | 'layer' | 'move' = 'nothing';

  constructor(targets: Targets) {
    this.#targets = targets;
  }

  /** @param element the view; it gets the pointer until it is let go */
  press(event: PointerEvent, element: Element): void {
    if (event.pointerType === 'mouse' && event.button > MIDDLE_BUTTON) return;
    element.setPointerCapture(event.pointerId);
    const point = pointOf(event, element);
    this.#down.set(event.pointerId, point);
    const { view, editor, layers, pick } = this.#targets;
    if (this.#down.size > 1) {
      if (this.#does === 'stroke') editor.cancelStroke();
      else if (this.#does === 'layer') layers.cancel();
      this.#does = 'move';
    } else if (editor.tool === 'move' || event.button === MIDDLE_BUTTON) {
      this.#does = 'move';
    } else if (editor.tool === 'pick' || editor.tool === 'color') {
      this.#does = 'nothing';
      pick(view.toImage(point));
    } else if (editor.tool === 'layer') {
      this.#does = 'layer';
      const reach = event.pointerType === 'touch' ? REACH.coarse : REACH.fine;
      layers.press(view.toImage(point), reach / view.scale);
    } else {
      this.#does = 'stroke';
      const { x, y } = view.toImage(point);
      editor.beginStroke(x, y, pressureOf(event));
    }
  }

  drag(event: PointerEvent, element: Element): void {
    const before = this.#down.get(event.pointerId);
    if (!before) return;
    const point = pointOf(event, element);
    const { view, editor, layers } = this.#targets;
    if (this.#does === 'stroke') {
      const steps = event.getCoalescedEvents();
      for (const step of steps.length > 0 ? steps : [event]) {
        const { x, y } = view.toImage(pointOf(step, element));
        editor.continueStroke(x, y, pressureOf(step));
      }
    } else if (this.#does === 'layer') {
      layers.drag(view.toImage(point));
    } else if (this.#does === 'move') {
      this.#pinch(event.pointerId, before, point);
    }
    this.#down.set(event.pointerId, point);
  }

  release(event: PointerEvent): void {
    if (!this.#down.delete(event.pointerId)) return;
    if (this.#does === 'stroke') this.#targets.editor.endStroke();
    else if (this.#does === 'layer') this.#targets.layers.release();
    // A finger left over after a pinch does not mark anything.
    if (this.#down.size === 0 || this.#does !== 'move') this.#does = 'nothing';
  }

  #pinch(id: number, before: Point, now: Point): void {
    const { view } = this.#targets;
    const other = [...this.#down].find(([otherId]) => otherId !== id)?.[1];
    if (!other) {
      view.move(now.x - before.x, now.y - before.y);
      return;
    }
    // The other finger stays where it is, so that half of this one's way is the middle's.
    view.move((now.x - before.x) / 2, (now.y - before.y) / 2);
    const length = (point: Point) => Math.max(1, Math.hypot(point.x - other.x, point.y - other.y));
    view.zoom(length(now) / length(before), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
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
