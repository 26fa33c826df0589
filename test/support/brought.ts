import { encodePng } from '#codecs/png.ts';

/** Pixels of an image by column and row: red, green, blue, alpha. */
export type PixelAt = (x: number, y: number) => readonly [number, number, number, number];

/** A PNG file as somebody brings it. @param texts its text chunks */
export function imageFile(
  name: string,
  [width, height]: readonly [number, number],
  pixelAt: PixelAt = (x, y) => [x, y, 128, 255],
  texts: Readonly<Record<string, string>> = {},
): File {
  const data = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) data.set(pixelAt(x, y), (y * width + x) * 4);
  return new File([encodePng({ width, height, channels: 4, data }, texts)], name, { type: 'image/png' });
}

/** Drops files on the page. */
export function drop(...files: File[]): void {
  const dataTransfer = new DataTransfer();
  for (const file of files) dataTransfer.items.add(file);
  document.body.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer }));
}

/** Pastes files into the page. */
export function paste(...files: File[]): void {
  const clipboardData = new DataTransfer();
  for (const file of files) clipboardData.items.add(file);
  document.body.dispatchEvent(
    new ClipboardEvent('paste', { bubbles: true, cancelable: true, clipboardData }),
  );
}
