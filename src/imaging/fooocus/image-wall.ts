import { createPixels, type Pixels } from '#imaging/pixels.ts';
import { paste } from '#imaging/pillow/paste.ts';

/**
 * All images in one, in rows from the left, about as many rows as columns, the rest black. Source: Fooocus
 * modules/async_worker.py, `build_image_wall`.
 * @returns null for fewer than two images or images of different sizes
 */
export function buildImageWall(images: readonly Pixels[]): Pixels | null {
  const [first] = images;
  if (!first || images.length < 2) return null;
  const { width, height, channels } = first;
  const fits = (image: Pixels) =>
    image.width === width && image.height === height && image.channels === channels;
  if (!images.every(fits)) return null;
  const columns = Math.ceil(Math.sqrt(images.length));
  const rows = Math.ceil(images.length / columns);
  const wall = createPixels({ width: columns * width, height: rows * height }, channels);
  return images.reduce(
    (placed, image, i) =>
      paste(placed, image, { x: (i % columns) * width, y: Math.floor(i / columns) * height }),
    wall,
  );
}
