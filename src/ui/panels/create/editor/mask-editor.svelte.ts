import type { SourceImage } from '#ui/panels/create/form/source-image.ts';
import { dabsTo, stamp, type Area, type Dab, type MaskOperation } from './mask-strokes.ts';

/** `pick` selects what is clicked. */
export type Tool = 'brush' | 'eraser' | 'move' | 'pick';

/** The tint of what is masked. */
const TINT = { red: 24, green: 104, blue: 232, alpha: 0.6 };

/** Part of the image's shorter side that the brush is as wide as at first. */
const FIRST_SIZE = 0.12;

/** A mask over an image: what was done to it, what can be undone, and how it looks. */
export class MaskEditor {
  readonly source: SourceImage;
  tool = $state<Tool>('brush');
  /** Pixels across. */
  size = $state(64);
  /** 0 … 1: the part of the brush that fades out. */
  softness = $state(0.3);
  #done = $state.raw<readonly MaskOperation[]>([]);
  #undone = $state.raw<readonly MaskOperation[]>([]);
  #stroke: Extract<MaskOperation, { kind: 'stroke' }> | null = null;

  /** Opaque: white where the image is generated again. */
  readonly #mask: OffscreenCanvasRenderingContext2D | null;
  /** Where the tinted mask is shown, while it is. */
  #shown: CanvasRenderingContext2D | null = null;

  constructor(source: SourceImage, operations: readonly MaskOperation[] = []) {
    this.source = source;
    this.size = Math.max(8, Math.round(FIRST_SIZE * Math.min(source.width, source.height)));
    this.#mask = new OffscreenCanvas(source.width, source.height).getContext('2d', {
      willReadFrequently: true,
    });
    this.#done = operations;
    void this.#repeat();
  }

  /** What was done and not undone. */
  get operations(): readonly MaskOperation[] {
    return this.#done;
  }

  get canUndo(): boolean {
    return this.#done.length > 0;
  }

  get canRedo(): boolean {
    return this.#undone.length > 0;
  }

  /** Shows the mask on a canvas of the image's size. @returns what ends it */
  show(canvas: HTMLCanvasElement): () => void {
    canvas.width = this.source.width;
    canvas.height = this.source.height;
    this.#shown = canvas.getContext('2d');
    this.#tint();
    return () => (this.#shown = null);
  }

  /** Begins a stroke of the brush or the eraser. @param pressure 0 … 1 */
  beginStroke(x: number, y: number, pressure: number): void {
    this.#stroke = { kind: 'stroke', erases: this.tool === 'eraser', softness: this.softness, dabs: [] };
    this.continueStroke(x, y, pressure);
  }

  continueStroke(x: number, y: number, pressure: number): void {
    const stroke = this.#stroke;
    if (!stroke || !this.#mask) return;
    const dabs = dabsTo(stroke.dabs.at(-1), { x, y, radius: this.#radiusAt(pressure) });
    stroke.dabs.push(...dabs);
    this.#tint(stamp(this.#mask, stroke, dabs));
  }

  endStroke(): void {
    const stroke = this.#stroke;
    this.#stroke = null;
    if (stroke) this.#add(stroke);
  }

  /** Takes back the stroke that has been begun. */
  cancelStroke(): void {
    if (!this.#stroke) return;
    this.#stroke = null;
    void this.#repeat();
  }

  clear(): void {
    if (this.isEmpty()) return;
    this.#add({ kind: 'clear' });
    void this.#repeat();
  }

  invert(): void {
    this.#add({ kind: 'invert' });
    this.#invert();
    this.#tint();
  }

  /** Marks what is transparent in the image. */
  markTransparent(): void {
    this.#add({ kind: 'transparent' });
    void this.#repeat();
  }

  /** Marks what was found in the image. @param mask an opaque image file of its size, white where it is */
  addFound(mask: Blob): void {
    this.#add({ kind: 'found', mask });
    void this.#repeat();
  }

  undo(): void {
    const last = this.#done.at(-1);
    if (!last) return;
    this.#done = this.#done.slice(0, -1);
    this.#undone = [...this.#undone, last];
    void this.#repeat();
  }

  redo(): void {
    const last = this.#undone.at(-1);
    if (!last) return;
    this.#undone = this.#undone.slice(0, -1);
    this.#done = [...this.#done, last];
    void this.#repeat();
  }

  /** Whether nothing is marked. */
  isEmpty(): boolean {
    const { width, height } = this.source;
    const data = this.#mask?.getImageData(0, 0, width, height).data;
    if (!data) return true;
    for (let i = 0; i < data.length; i += 4) if ((data[i] ?? 0) > 0) return false;
    return true;
  }

  /** The mask as an opaque PNG file of the image's size; null where nothing is marked. */
  async toFile(): Promise<Blob | null> {
    return this.isEmpty() || !this.#mask ? null : this.#mask.canvas.convertToBlob();
  }

  #radiusAt(pressure: number): Dab['radius'] {
    return Math.max(1, (this.size / 2) * pressure);
  }

  #add(operation: MaskOperation): void {
    this.#done = [...this.#done, operation];
    this.#undone = [];
  }

  /** Makes the mask again from its operations. What comes before the last clearing is of no effect. */
  async #repeat(): Promise<void> {
    const operations = this.#done;
    const start = operations.findLastIndex(({ kind }) => kind === 'clear') + 1;
    const transparency = operations.some(({ kind }) => kind === 'transparent')
      ? await createImageBitmap(this.source.blob)
      : null;
    const found = await Promise.all(
      operations
        .slice(start)
        .flatMap((operation) => (operation.kind === 'found' ? [createImageBitmap(operation.mask)] : [])),
    );
    const masks = found.values();
    const mask = this.#mask;
    // Something else has been done while images were read, and is repeating everything.
    if (!mask || operations !== this.#done) return;
    const { width, height } = this.source;
    mask.fillStyle = '#000';
    mask.fillRect(0, 0, width, height);
    for (const operation of operations.slice(start)) {
      if (operation.kind === 'stroke') stamp(mask, operation, operation.dabs);
      else if (operation.kind === 'invert') this.#invert();
      else if (operation.kind === 'found') this.#lighten(masks.next().value);
      else if (transparency) this.#markHoles(transparency);
    }
    for (const bitmap of found) bitmap.close();
    transparency?.close();
    this.#tint();
  }

  #invert(): void {
    const mask = this.#mask;
    if (!mask) return;
    mask.globalCompositeOperation = 'difference';
    mask.fillStyle = '#fff';
    mask.fillRect(0, 0, this.source.width, this.source.height);
    mask.globalCompositeOperation = 'source-over';
  }

  #lighten(image: ImageBitmap | undefined): void {
    const mask = this.#mask;
    if (!mask || !image) return;
    mask.globalCompositeOperation = 'lighten';
    mask.drawImage(image, 0, 0, this.source.width, this.source.height);
    mask.globalCompositeOperation = 'source-over';
  }

  #markHoles(image: ImageBitmap): void {
    const { width, height } = this.source;
    const holes = new OffscreenCanvas(width, height).getContext('2d');
    if (!holes) return;
    holes.fillStyle = '#fff';
    holes.fillRect(0, 0, width, height);
    // What is opaque is taken out of the white, and black stays beneath it.
    holes.globalCompositeOperation = 'destination-out';
    holes.drawImage(image, 0, 0, width, height);
    this.#mask?.drawImage(holes.canvas, 0, 0);
  }

  #tint(area: Area | null = { x: 0, y: 0, ...sizeOf(this.source) }): void {
    if (!area || !this.#mask || !this.#shown) return;
    const x = Math.max(0, Math.floor(area.x));
    const y = Math.max(0, Math.floor(area.y));
    const width = Math.min(this.source.width, Math.ceil(area.x + area.width)) - x;
    const height = Math.min(this.source.height, Math.ceil(area.y + area.height)) - y;
    if (width <= 0 || height <= 0) return;
    const image = this.#mask.getImageData(x, y, width, height);
    const { data } = image;
    for (let i = 0; i < data.length; i += 4) {
      data[i + 3] = (data[i] ?? 0) * TINT.alpha;
      data[i] = TINT.red;
      data[i + 1] = TINT.green;
      data[i + 2] = TINT.blue;
    }
    this.#shown.putImageData(image, x, y);
  }
}

function sizeOf({ width, height }: SourceImage): Pick<Area, 'width' | 'height'> {
  return { width, height };
}
