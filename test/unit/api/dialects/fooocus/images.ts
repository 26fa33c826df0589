import { writeChunk } from '#codecs/png-chunks.ts';
import { encodePng } from '#codecs/png.ts';

/** A PNG file in grey, or with the colour of each pixel. */
export function imagePng(
  width: number,
  height: number,
  colour: (x: number, y: number) => readonly [number, number, number] = () => [128, 128, 128],
): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel++) {
    data.set(colour(pixel % width, Math.floor(pixel / width)), pixel * 3);
  }
  return encodePng({ width, height, channels: 3, data });
}

const WHITE = [255, 255, 255] as const;
const BLACK = [0, 0, 0] as const;

/** A mask that is white from x on. */
export const maskPng = (width: number, height: number, from: number) =>
  imagePng(width, height, (x) => (x >= from ? WHITE : BLACK));

export const base64Of = (png: Uint8Array) => Buffer.from(png).toString('base64');

/** A PNG file that claims to be of another size. */
export function claimSize(png: Uint8Array, width: number, height: number): Uint8Array<ArrayBuffer> {
  const header = png.slice(16, 29);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  return Uint8Array.from([...png.slice(0, 8), ...writeChunk('IHDR', header), ...png.slice(33)]);
}

/** A file as clients put it into forms. */
export const fileOf = (png: Uint8Array<ArrayBuffer>) => new File([png], 'input.png', { type: 'image/png' });
