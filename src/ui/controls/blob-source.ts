import type { Attachment } from 'svelte/attachments';
import { servedPath } from '#protocol/gallery.ts';
import type { StoredImage } from '#protocol/job.ts';

/** Shows a Blob in an `<img>` and frees its URL when the image goes. */
export function blobSource(blob: Blob): Attachment<HTMLImageElement> {
  return (image) => show(blob, image);
}

/** Shows a Blob in an `<img>`. @returns what frees its URL */
export function show(blob: Blob, image: HTMLImageElement): () => void {
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
