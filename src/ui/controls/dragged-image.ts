import type { Attachment } from 'svelte/attachments';
import type { StoredImage } from '#protocol/job.ts';

/** Among the types of a drag that began here: the app does not take its own images for files brought. */
export const OWN_IMAGE = 'application/x-vitrine-image';

/**
 * Lets an image be dragged out of the window, as a file with a name. Chromium downloads what `DownloadURL` names where it is
 * dropped; https://web.dev/articles/datatransfer.
 */
export function draggedAs(image: StoredImage, name: string): Attachment<HTMLElement> {
  return (element) => {
    let url = '';
    const begin = ({ dataTransfer }: DragEvent) => {
      if (!dataTransfer) return;
      url = URL.createObjectURL(image.blob);
      dataTransfer.effectAllowed = 'copy';
      dataTransfer.setData('DownloadURL', `${image.blob.type}:${name.replaceAll(':', '-')}:${url}`);
      dataTransfer.setData(OWN_IMAGE, image.id);
    };
    const end = () => {
      const used = url;
      // The drop target may still be reading it.
      setTimeout(() => URL.revokeObjectURL(used), 60_000);
    };
    element.draggable = true;
    element.addEventListener('dragstart', begin);
    element.addEventListener('dragend', end);
    return () => {
      element.removeEventListener('dragstart', begin);
      element.removeEventListener('dragend', end);
    };
  };
}
