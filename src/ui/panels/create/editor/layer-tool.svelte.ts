import type { Point } from './editor-view.svelte.ts';
import { LayerDrag, middleOf, scaleArea } from './layer-drag.ts';
import type { Layer } from './layers.ts';
import type { MaskEditor } from './mask-editor.svelte.ts';
import type { Area } from './mask-strokes.ts';

/** Moves, scales and removes the layers of an editor. Points are in pixels of the image. */
export class LayerTool {
  readonly #editor: MaskEditor;
  #selected = $state<string | null>(null);
  #drag: LayerDrag | null = null;
  /** Where a layer is that is being moved or scaled. */
  #moved = $state.raw<{ id: string; area: Area } | null>(null);

  constructor(editor: MaskEditor) {
    this.#editor = editor;
  }

  /** Those of the image, as they are shown. */
  readonly layers: readonly Layer[] = $derived.by(() => {
    const moved = this.#moved;
    return this.#editor.layers.map((layer) => (layer.id === moved?.id ? { ...layer, ...moved.area } : layer));
  });

  /** The layer that keys and sliders change: the one that was clicked last, else the uppermost. */
  readonly selected: Layer | null = $derived(
    this.layers.find(({ id }) => id === this.#selected) ?? this.layers.at(-1) ?? null,
  );

  /** Begins to drag what is at a point, if there is a layer. @param reach how near a corner is near enough */
  press(point: Point, reach: number): void {
    this.#drag = LayerDrag.at(point, this.layers, this.selected?.id ?? null, reach);
    if (this.#drag) this.#selected = this.#drag.layer.id;
  }

  drag(point: Point): void {
    if (this.#drag) this.#moved = { id: this.#drag.layer.id, area: this.#drag.to(point) };
  }

  /** Ends a drag, or what {@link scaleTo} has shown. */
  release(): void {
    const moved = this.#moved;
    this.cancel();
    if (moved) this.#editor.placeLayer(moved.id, moved.area);
  }

  /** Leaves the layer where it was. */
  cancel(): void {
    this.#drag = null;
    this.#moved = null;
  }

  /** Moves the selected layer. @param goesOn see {@link MaskEditor.placeLayer} */
  nudge(byX: number, byY: number, goesOn: boolean): void {
    const layer = this.selected;
    if (!layer) return;
    const { id, x, y, width, height } = layer;
    this.#editor.placeLayer(id, { x: x + byX, y: y + byY, width, height }, goesOn);
  }

  /** Scales the selected layer about its middle. @param goesOn see {@link MaskEditor.placeLayer} */
  scale(factor: number, goesOn: boolean): void {
    const layer = this.selected;
    if (layer) this.#editor.placeLayer(layer.id, scaleArea(layer, factor, middleOf(layer)), goesOn);
  }

  /** Shows the selected layer at another width, until it is released. @param width pixels of the image */
  scaleTo(width: number): void {
    const layer = this.selected;
    if (layer) this.#moved = { id: layer.id, area: scaleArea(layer, width / layer.width, middleOf(layer)) };
  }

  /** Takes the selected layer away. */
  remove(): void {
    const layer = this.selected;
    if (layer) this.#editor.removeLayer(layer.id);
  }

  /** Marks where the selected layer is. */
  async mark(): Promise<void> {
    const layer = this.selected;
    if (layer) await this.#editor.markLayer(layer);
  }
}
