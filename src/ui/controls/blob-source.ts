import type { Attachment } from 'svelte/attachments';

/** Shows a Blob in an `<img>` and frees its URL when the picture goes. */
export function blobSource(blob: Blob): Attachment<HTMLImageElement> {
  return (image) => {
    const url = URL.createObjectURL(blob);
    image.src = url;
    return () => URL.revokeObjectURL(url);
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
