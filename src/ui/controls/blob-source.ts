import type { Attachment } from 'svelte/attachments';
import { servedPath } from '#protocol/gallery.ts';
import type { StoredImage } from '#protocol/job.ts';

/** Shows a Blob in an `<img>` and frees its URL when the image goes. */
export function blobSource(blob: Blob): Attachment<HTMLImageElement> {
  return (image) => show(blob, image);
}

/**
 * Draws a small Blob that is replaced again and again, such as a preview, on a `<canvas>`. In an `<img>` each would cost a URL, a
 * request and a layout: several milliseconds of what the model would compute with.
 */
export function drawnBlob(blob: Blob): Attachment<HTMLCanvasElement> {
  return (canvas) => {
    let isNewest = true;
    const draw = (bitmap: ImageBitmap) => {
      const { width, height } = bitmap;
      if (isNewest) {
        if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
        canvas.getContext('2d')?.drawImage(bitmap, 0, 0);
      }
      bitmap.close();
    };
    // One that cannot be decoded is passed over: the next one may be whole.
    void createImageBitmap(blob).then(draw, () => undefined);
    return () => (isNewest = false);
  };
}

/** @returns what frees the URL */
function show(blob: Blob, image: HTMLImageElement): () => void {
  const url = URL.createObjectURL(blob);
  image.src = url;
  return () => {
    // What is decoded may go as well.
    image.removeAttribute('src');
    URL.revokeObjectURL(url);
  };
}

/**
 * Shows an image of the gallery in an `<img>` under the name it is saved by: from the service worker, which serves it with a
 * name; otherwise as {@link blobSource}.
 */
export function namedSource(
  { id, blob }: Pick<StoredImage, 'id' | 'blob'>,
  name: string,
): Attachment<HTMLImageElement> {
  return (image) => {
    if (!('serviceWorker' in navigator) || !navigator.serviceWorker.controller) return show(blob, image);
    let free = () => image.removeAttribute('src');
    const fallBack = () => (free = show(blob, image));
    image.addEventListener('error', fallBack, { once: true });
    image.src = new URL(servedPath(id, name), document.baseURI).href;
    return () => {
      image.removeEventListener('error', fallBack);
      free();
    };
  };
}

/** Up to this many pixels a large image is shown scaled without a copy: decoded, each pixel takes four bytes. */
const SHOWN_AS_IT_IS = 1024 * 1024;

/** Pixels of a thumbnail's shorter side. */
const THUMBNAIL_SIDE = 384;

interface Large {
  id: string;
  blob: Blob;
  width: number;
  height: number;
}

/** Thumbnails of large images by id, and those under way. */
const thumbnails = new Map<string, Promise<Blob>>();

/** One at a time: each needs the whole image in memory. */
let making: Promise<unknown> = Promise.resolve();

/** Shows an image small in an `<img>`; large ones are scaled down once, so that a page of them fits into memory. */
export function thumbnail(image: Large): Attachment<HTMLImageElement> {
  if (image.width * image.height <= SHOWN_AS_IT_IS) return blobSource(image.blob);
  return (element) => {
    const gone = new AbortController();
    void thumbnailOf(image).then((small) => {
      if (!gone.signal.aborted) gone.signal.addEventListener('abort', show(small, element));
    });
    return () => gone.abort();
  };
}

function thumbnailOf({ id, blob, width, height }: Large): Promise<Blob> {
  const known = thumbnails.get(id);
  if (known) return known;
  const made = making.then(() =>
    scaleDown(blob, THUMBNAIL_SIDE / Math.min(width, height), { width, height }),
  );
  // What the browser cannot scale it may still be able to show.
  const shown = made.catch(() => blob);
  making = shown;
  thumbnails.set(id, shown);
  return shown;
}

async function scaleDown(blob: Blob, scale: number, size: Pick<Large, 'width' | 'height'>): Promise<Blob> {
  const [width, height] = [Math.round(size.width * scale), Math.round(size.height * scale)];
  const bitmap = await createImageBitmap(blob, {
    resizeWidth: width,
    resizeHeight: height,
    resizeQuality: 'medium',
  });
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext('2d')?.drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas.convertToBlob({ type: 'image/jpeg', quality: 0.9 });
}

/** Offers a Blob as a download under a file name. */
export function downloadBlob(blob: Blob, fileName: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = fileName;
  link.click();
  // The download has to have begun before its URL may go.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
