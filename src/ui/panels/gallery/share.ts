import { AppError } from '#protocol/error.ts';
import type { StoredImage } from '#protocol/job.ts';
import { fileNameOf, titleOf } from '#ui/panels/create/stage/captions.ts';

function fileOf(image: StoredImage): File {
  return new File([image.blob], fileNameOf(image), { type: image.blob.type });
}

/** Whether this browser can hand images to other apps. */
export function canShare(images: readonly StoredImage[]): boolean {
  return 'canShare' in navigator && navigator.canShare({ files: images.map(fileOf) });
}

/** Hands images to another app, which the reader chooses. @throws AppError `invalid_request` */
export async function share(images: readonly StoredImage[]): Promise<void> {
  const [first] = images;
  if (!first) return;
  try {
    await navigator.share({ files: images.map(fileOf), title: titleOf(first) });
  } catch (thrown) {
    if (thrown instanceof DOMException && thrown.name === 'AbortError') return;
    throw new AppError('invalid_request', 'The browser did not share the image. Download it instead.', {
      cause: thrown,
    });
  }
}

/** Copies an image to the clipboard, as the PNG that browsers take. @throws AppError `invalid_request` */
export async function copyImage({ blob }: StoredImage): Promise<void> {
  try {
    await navigator.clipboard.write([new ClipboardItem({ 'image/png': toPng(blob) })]);
  } catch (thrown) {
    throw new AppError('invalid_request', 'The browser did not allow copying. Download the image instead.', {
      cause: thrown,
    });
  }
}

async function toPng(blob: Blob): Promise<Blob> {
  if (blob.type === 'image/png') return blob;
  const bitmap = await createImageBitmap(blob);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext('2d')?.drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas.convertToBlob();
}
