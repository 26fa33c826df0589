import type { Attachment } from 'svelte/attachments';
import { show } from './blob-source.ts';

/** Up to this many pixels a large image is shown scaled without a copy: decoded, each pixel takes four bytes. */
const SHOWN_AS_IT_IS = 1024 * 1024;

/** Pixels of the shorter side of a large image's copy. */
const COPY_SIDE = 384;

/** Pixels of CSS on either side of a grid's cell, at most, about. */
const CELL_SIDE = 192;

/** Cells that are drawn at once: enough for all decoders, and few enough to leave the page time in between. */
const DRAWN_AT_ONCE = 4;

interface Image {
  id: string;
  blob: Blob;
  width: number;
  height: number;
}

/** Small copies of large images by id, and those under way. */
const copies = new Map<string, Promise<Blob>>();

/** One at a time: each needs the whole image in memory. */
let copying: Promise<unknown> = Promise.resolve();

/** Canvases of cells that have gone: the collector of garbage takes a tenth of a second to tidy up after some hundred. */
const unused: HTMLCanvasElement[] = [];

/** Cells that wait until others have been drawn, in order. */
const waiting = new Set<() => Promise<void>>();
let drawing = 0;

/** Shows an image small in an `<img>`; large ones are scaled down once, so that a page of them fits into memory. */
export function thumbnail(image: Image): Attachment<HTMLImageElement> {
  return (element) => {
    const gone = new AbortController();
    void smallBlobOf(image).then((small) => {
      if (!gone.signal.aborted) gone.signal.addEventListener('abort', show(small, element));
    });
    return () => gone.abort();
  };
}

/**
 * Draws an image on a `<canvas>` in a cell of a grid, where images come and go by the hundred: a URL for an `<img>` keeps the page
 * waiting for the browser's main process. What has gone before its turn costs nothing.
 */
export function cellThumbnail(image: Image): Attachment<HTMLElement> {
  return (cell) => {
    const scale = Math.min(1, (CELL_SIDE * devicePixelRatio) / Math.min(image.width, image.height));
    const [width, height] = [Math.round(image.width * scale), Math.round(image.height * scale)];
    const canvas = unused.pop() ?? document.createElement('canvas');
    // Clears it; and is done now, while nothing is laid out yet: later it would cost a layout each.
    Object.assign(canvas, { width, height });
    cell.append(canvas);
    let isWanted = true;
    const draw = async () => {
      const blob = await smallBlobOf(image);
      const bitmap = await createImageBitmap(blob, resizedTo(width, height));
      // Not on the graphics card, where each canvas is a layer of its own to the compositor.
      if (isWanted) canvas.getContext('2d', { willReadFrequently: true })?.drawImage(bitmap, 0, 0);
      bitmap.close();
    };
    waiting.add(draw);
    drawNext();
    return () => {
      isWanted = false;
      waiting.delete(draw);
      canvas.remove();
      // Without its pixels.
      canvas.width = 0;
      unused.push(canvas);
    };
  };
}

function drawNext(): void {
  for (const draw of waiting) {
    if (drawing === DRAWN_AT_ONCE) return;
    waiting.delete(draw);
    drawing += 1;
    void draw()
      // An image that cannot be decoded leaves its cell empty.
      .catch(() => undefined)
      .finally(() => {
        drawing -= 1;
        drawNext();
      });
  }
}

/** An image's own file, or a small copy of a large one. */
function smallBlobOf({ id, blob, width, height }: Image): Promise<Blob> {
  if (width * height <= SHOWN_AS_IT_IS) return Promise.resolve(blob);
  const known = copies.get(id);
  if (known) return known;
  const scale = Math.min(1, COPY_SIDE / Math.min(width, height));
  const made = copying.then(() => resize(blob, Math.round(width * scale), Math.round(height * scale)));
  // What the browser cannot scale it may still be able to show.
  const small = made.catch(() => blob);
  copying = small;
  copies.set(id, small);
  return small;
}

async function resize(blob: Blob, width: number, height: number): Promise<Blob> {
  const bitmap = await createImageBitmap(blob, resizedTo(width, height));
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext('2d')?.drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas.convertToBlob({ type: 'image/jpeg', quality: 0.9 });
}

function resizedTo(resizeWidth: number, resizeHeight: number): ImageBitmapOptions {
  return { resizeWidth, resizeHeight, resizeQuality: 'medium' };
}
