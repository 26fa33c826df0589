/// <reference lib="webworker" />
import { imageOfServedPath } from '#protocol/gallery.ts';
import type { ImageId } from '#protocol/job.ts';
import { connectToHost } from './find-host.ts';

/** The image of the gallery that an address of this origin leads to. @param base the app's own path */
export function galleryImageOf({ pathname }: URL, base: string): ImageId | undefined {
  return pathname.startsWith(base) ? imageOfServedPath(pathname.slice(base.length)) : undefined;
}

/** An image as the hosting tab has it: for pages of the app, which show it by `<img>`. */
export async function serveGalleryImage(clients: Clients, id: ImageId): Promise<Response> {
  try {
    const connection = await connectToHost(clients);
    try {
      const image = await connection.host.galleryItem(id);
      if (!image) return new Response('There is no such image.', { status: 404 });
      return new Response(image.blob, {
        headers: {
          'Content-Type': image.blob.type,
          'Cache-Control': 'no-store',
          'Cross-Origin-Resource-Policy': 'same-origin',
        },
      });
    } finally {
      connection.close();
    }
  } catch {
    return new Response('No tab is open that has the images.', { status: 503 });
  }
}
