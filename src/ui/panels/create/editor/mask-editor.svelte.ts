import type { SourceImage } from '#ui/panels/create/form/source-image.ts';
import { maskOfColor } from './color-mask.ts';
import { flatten, firstPlace, layersOf, maskOfLayer, type EditOperation, type Layer } from './layers.ts';
import { MaskCanvas } from './mask-canvas.ts';
import { dabsTo, type Area, type Dab, type MaskOperation, type Stroke } from './mask-strokes.ts';

/** `pick` selects what is clicked, `color` marks the color that is clicked, `layer` moves and scales layers. */
export type Tool = 'brush' | 'eraser' | 'color' | 'pick' | 'layer' | 'move';

/** Part of the image's shorter side that the brush is as wide as at first. */
const FIRST_SIZE = 0.12;

/** What is marked by the last click on a color. */
interface MarkedColor {
  /** The pixel that was clicked, row by row. */
  index: number;
  operation: MaskOperation;
}

/** A mask over an image, and layers on it: what was done, what can be undone, and how it looks. */
export class MaskEditor {
  readonly source: SourceImage;
  tool = $state<Tool>('brush');
  /** Pixels across. */
  size = $state(64);
  /** 0 … 1: the part of the brush that fades out. */
  softness = $state(0.3);
  #tolerance = $state(32);
  #done = $state.raw<readonly EditOperation[]>([]);
  #undone = $state.raw<readonly EditOperation[]>([]);
  #stroke: Stroke | null = null;
  #color: MarkedColor | null = null;
  /** The pixels as the layers last lay. */
  #flat: { places: string; pixels: Promise<ImageData> } | null = null;
  readonly #canvas: MaskCanvas;
  /** While the mask is being made again. */
  #repeating: Promise<void> | null = null;

  /** Those that lie over the image, the lowest first. */
  readonly layers: readonly Layer[] = $derived(layersOf(this.#done));

  constructor(source: SourceImage, operations: readonly EditOperation[] = []) {
    this.source = source;
    this.size = Math.max(8, Math.round(FIRST_SIZE * Math.min(source.width, source.height)));
    this.#canvas = new MaskCanvas(source);
    this.#done = operations;
    this.#repeat();
  }

  /** What was done and not undone. */
  get operations(): readonly EditOperation[] {
    return this.#done;
  }

  get canUndo(): boolean {
    return this.#done.length > 0;
  }

  get canRedo(): boolean {
    return this.#undone.length > 0;
  }

  /** 0 … 255: how much a color may differ from the one that is clicked. */
  get tolerance(): number {
    return this.#tolerance;
  }

  /** Also changes what the last click on a color has marked, while nothing has been done since. */
  set tolerance(tolerance: number) {
    this.#tolerance = tolerance;
    void this.#markColorAgain();
  }

  /** Shows the mask on a canvas of the image's size. @returns what ends it */
  show(canvas: HTMLCanvasElement): () => void {
    return this.#canvas.show(canvas);
  }

  /** Begins a stroke of the brush or the eraser. @param pressure 0 … 1 */
  beginStroke(x: number, y: number, pressure: number): void {
    this.#stroke = { kind: 'stroke', erases: this.tool === 'eraser', softness: this.softness, dabs: [] };
    this.continueStroke(x, y, pressure);
  }

  continueStroke(x: number, y: number, pressure: number): void {
    const stroke = this.#stroke;
    if (!stroke) return;
    const dabs = dabsTo(stroke.dabs.at(-1), { x, y, radius: this.#radiusAt(pressure) });
    stroke.dabs.push(...dabs);
    this.#canvas.tint(this.#canvas.stamp(stroke, dabs));
  }

  endStroke(): void {
    const stroke = this.#stroke;
    this.#stroke = null;
    if (!stroke) return;
    this.#add(stroke);
    if (this.#repeating) this.#repeat();
  }

  /** Takes back the stroke that has been begun. */
  cancelStroke(): void {
    if (!this.#stroke) return;
    this.#stroke = null;
    this.#repeat();
  }

  clear(): void {
    if (this.isEmpty()) return;
    this.#add({ kind: 'clear' });
    this.#repeat();
  }

  invert(): void {
    this.#add({ kind: 'invert' });
    this.#repeat();
  }

  /** Marks what is transparent in the image. */
  markTransparent(): void {
    this.#add({ kind: 'transparent' });
    this.#repeat();
  }

  /** Marks what was found in the image. @param mask an opaque image file of its size, white where it is */
  addFound(mask: Blob): void {
    this.#add({ kind: 'found', mask });
    this.#repeat();
  }

  /** Marks the color at a pixel, wherever the image has it. */
  async markColor(x: number, y: number): Promise<void> {
    const { width, height } = this.source;
    const [column, row] = [Math.floor(x), Math.floor(y)];
    if (column < 0 || row < 0 || column >= width || row >= height) return;
    const index = row * width + column;
    const operation: MaskOperation = { kind: 'found', mask: await this.#colorMask(index) };
    this.#add(operation);
    this.#color = { index, operation };
    this.#repeat();
  }

  /** Lays an image over the edited one, and takes the tool that moves it. */
  addLayer({ blob, name, ...size }: Omit<SourceImage, 'id'>): void {
    const area = firstPlace(this.source, size);
    this.#add({ kind: 'add-layer', layer: { id: crypto.randomUUID(), blob, name, ...area } });
    this.tool = 'layer';
  }

  /**
   * Moves or scales a layer.
   * @param goesOn whether undo takes it back together with the change before, as the same key that is held down
   */
  placeLayer(id: string, area: Area, goesOn = false): void {
    const last = this.#done.at(-1);
    const isSame = goesOn && last?.kind === 'place-layer' && last.id === id;
    if (isSame) this.#done = this.#done.slice(0, -1);
    this.#add({ kind: 'place-layer', id, area });
  }

  removeLayer(id: string): void {
    this.#add({ kind: 'remove-layer', id });
    this.#leaveLayers();
  }

  /** Marks where a layer is. */
  async markLayer(layer: Layer): Promise<void> {
    this.addFound(await maskOfLayer(this.source, layer));
  }

  undo(): void {
    const last = this.#done.at(-1);
    if (!last) return;
    this.#done = this.#done.slice(0, -1);
    this.#undone = [...this.#undone, last];
    this.#leaveLayers();
    this.#repeat();
  }

  redo(): void {
    const last = this.#undone.at(-1);
    if (!last) return;
    this.#undone = this.#undone.slice(0, -1);
    this.#done = [...this.#done, last];
    this.#leaveLayers();
    this.#repeat();
  }

  /** Whether nothing is marked. */
  isEmpty(): boolean {
    return this.#canvas.isEmpty();
  }

  /** The mask as an opaque PNG file of the image's size; null where nothing is marked. */
  async toFile(): Promise<Blob | null> {
    await this.#repeating;
    return this.#canvas.toFile();
  }

  /** The image with its layers merged into it, as a PNG file; its own file where there are none. */
  async toImage(): Promise<Blob> {
    const { layers, source } = this;
    return layers.length === 0 ? source.blob : (await flatten(source, layers)).convertToBlob();
  }

  #radiusAt(pressure: number): Dab['radius'] {
    return Math.max(1, (this.size / 2) * pressure);
  }

  /** Their tool is there only while there are any. */
  #leaveLayers(): void {
    if (this.tool === 'layer' && this.layers.length === 0) this.tool = 'brush';
  }

  #add(operation: EditOperation): void {
    this.#done = [...this.#done, operation];
    this.#undone = [];
  }

  async #markColorAgain(): Promise<void> {
    const color = this.#color;
    const isLast = () => color !== null && this.#color === color && this.#done.at(-1) === color.operation;
    if (!color || !isLast()) return;
    const tolerance = this.#tolerance;
    const operation: MaskOperation = { kind: 'found', mask: await this.#colorMask(color.index) };
    if (!isLast() || this.#tolerance !== tolerance) return;
    this.#color = { index: color.index, operation };
    this.#done = [...this.#done.slice(0, -1), operation];
    this.#repeat();
  }

  async #colorMask(index: number): Promise<Blob> {
    const { width, height } = this.source;
    const pixels = await this.#flatPixels();
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext('2d')?.putImageData(maskOfColor(pixels, index, this.#tolerance), 0, 0);
    return canvas.convertToBlob();
  }

  /** The pixels of the image with its layers, which are decoded once for all movements of the slider. */
  #flatPixels(): Promise<ImageData> {
    const { layers, source } = this;
    const places = JSON.stringify(layers.map(({ id, x, y, width, height }) => [id, x, y, width, height]));
    if (this.#flat?.places !== places) {
      const pixels = flatten(source, layers).then((flat) => {
        const image = flat.getContext('2d')?.getImageData(0, 0, source.width, source.height);
        return image ?? new ImageData(source.width, source.height);
      });
      this.#flat = { places, pixels };
    }
    return this.#flat.pixels;
  }

  /** Makes the mask again from its operations. */
  #repeat(): void {
    const repeating = this.#replay().finally(() => {
      if (this.#repeating === repeating) this.#repeating = null;
    });
    this.#repeating = repeating;
  }

  /** What comes before the last clearing is of no effect. */
  async #replay(): Promise<void> {
    const operations = this.#done;
    const start = operations.findLastIndex(({ kind }) => kind === 'clear') + 1;
    const read = await Promise.all(
      operations.slice(start).map(async (operation, index) => {
        if (operation.kind === 'found') return createImageBitmap(operation.mask);
        if (operation.kind !== 'transparent') return null;
        return createImageBitmap(await flatten(this.source, layersOf(operations.slice(0, start + index))));
      }),
    );
    // Else something has been done while images were read, and is repeating everything.
    if (operations === this.#done) {
      this.#canvas.clear();
      for (const [index, operation] of operations.slice(start).entries()) {
        const image = read[index];
        if (operation.kind === 'stroke') this.#canvas.stamp(operation, operation.dabs);
        else if (operation.kind === 'invert') this.#canvas.invert();
        else if (image && operation.kind === 'found') this.#canvas.lighten(image);
        else if (image) this.#canvas.markHoles(image);
      }
      if (this.#stroke) this.#canvas.stamp(this.#stroke, this.#stroke.dabs);
      this.#canvas.tint();
    }
    for (const image of read) image?.close();
  }
}
