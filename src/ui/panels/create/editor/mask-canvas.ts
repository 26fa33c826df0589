import type { Size } from '#protocol/job.ts';
import { stamp, type Area, type Dab, type Stroke } from './mask-strokes.ts';

/** The tint of what is masked. */
const TINT = { red: 24, green: 104, blue: 232, alpha: 0.6 };

/** The pixels of a mask, and how they look over the image. */
export class MaskCanvas {
  readonly #size: Size;
  /** Opaque: white where the image is generated again. */
  readonly #mask: OffscreenCanvasRenderingContext2D | null;
  /** Where the tinted mask is shown, while it is. */
  #shown: CanvasRenderingContext2D | null = null;

  constructor({ width, height }: Size) {
    this.#size = { width, height };
    this.#mask = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  }

  /** Shows the mask on a canvas of the image's size. @returns what ends it */
  show(canvas: HTMLCanvasElement): () => void {
    canvas.width = this.#size.width;
    canvas.height = this.#size.height;
    this.#shown = canvas.getContext('2d');
    this.tint();
    return () => (this.#shown = null);
  }

  /** Masks nothing. */
  clear(): void {
    this.#fill('#000', 'source-over');
  }

  invert(): void {
    this.#fill('#fff', 'difference');
  }

  /** Adds dabs of a stroke. @returns the area that may have changed, or null */
  stamp(stroke: Stroke, dabs: readonly Dab[]): Area | null {
    return this.#mask && stamp(this.#mask, stroke, dabs);
  }

  /** Masks also what is white in an opaque image of this size. */
  lighten(image: ImageBitmap): void {
    const mask = this.#mask;
    if (!mask) return;
    mask.globalCompositeOperation = 'lighten';
    mask.drawImage(image, 0, 0, this.#size.width, this.#size.height);
    mask.globalCompositeOperation = 'source-over';
  }

  /** Masks also what is transparent in an image of this size. */
  markHoles(image: CanvasImageSource): void {
    const { width, height } = this.#size;
    const holes = new OffscreenCanvas(width, height).getContext('2d');
    if (!holes) return;
    holes.fillStyle = '#fff';
    holes.fillRect(0, 0, width, height);
    // What is opaque is taken out of the white, and black stays beneath it.
    holes.globalCompositeOperation = 'destination-out';
    holes.drawImage(image, 0, 0, width, height);
    this.#mask?.drawImage(holes.canvas, 0, 0);
  }

  /** Whether nothing is masked. */
  isEmpty(): boolean {
    const data = this.#mask?.getImageData(0, 0, this.#size.width, this.#size.height).data;
    if (!data) return true;
    for (let i = 0; i < data.length; i += 4) if ((data[i] ?? 0) > 0) return false;
    return true;
  }

  /** An opaque PNG file; null where nothing is masked. */
  async toFile(): Promise<Blob | null> {
    return this.isEmpty() || !this.#mask ? null : this.#mask.canvas.convertToBlob();
  }

  /** Shows what the mask is by now, all of it or an area. */
  tint(area: Area | null = { x: 0, y: 0, ...this.#size }): void {
    if (!area || !this.#mask || !this.#shown) return;
    const x = Math.max(0, Math.floor(area.x));
    const y = Math.max(0, Math.floor(area.y));
    const width = Math.min(this.#size.width, Math.ceil(area.x + area.width)) - x;
    const height = Math.min(this.#size.height, Math.ceil(area.y + area.height)) - y;
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

  #fill(color: string, operation: GlobalCompositeOperation): void {
    const mask = this.#mask;
    if (!mask) return;
    mask.globalCompositeOperation = operation;
    mask.fillStyle = color;
    mask.fillRect(0, 0, this.#size.width, this.#size.height);
    mask.globalCompositeOperation = 'source-over';
  }
}
