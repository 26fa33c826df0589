import { concatBytes, decodeLatin1, encodeLatin1 } from './bytes.ts';

/** One chunk of a PNG file (PNG 1.2, §3.2). */
export interface PngChunk {
  type: string;
  data: Uint8Array;
  /** The checksum that the file has for it, over type and data. */
  crc: number;
}

/** What IHDR says (PNG 1.2, §4.1.1). */
export interface PngHeader {
  width: number;
  height: number;
  bitDepth: number;
  /** 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGBA. */
  colourType: number;
  compression: number;
  filter: number;
  /** 0 none, 1 Adam7. */
  interlace: number;
}

export const PNG_SIGNATURE: readonly number[] = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** CRC-32 as PNG has it. */
export function crc32(...parts: readonly Uint8Array[]): number {
  let crc = 0xffffffff;
  for (const part of parts) {
    for (const byte of part) crc = (CRC_TABLE[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** Whether the bytes begin as a PNG file does. */
export function isPng(bytes: Uint8Array): boolean {
  return PNG_SIGNATURE.every((byte, index) => bytes[index] === byte);
}

/** The chunks of a PNG file up to IEND, or up to where the file ends; one that is cut off is left out. */
export function* chunksOf(png: Uint8Array): Generator<PngChunk> {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  for (let position = PNG_SIGNATURE.length; position + 12 <= png.length;) {
    const end = position + 8 + view.getUint32(position);
    if (end + 4 > png.length) return;
    const type = decodeLatin1(png.subarray(position + 4, position + 8));
    yield { type, data: png.subarray(position + 8, end), crc: view.getUint32(end) };
    if (type === 'IEND') return;
    position = end + 4;
  }
}

/** The bytes of a chunk, with its length and checksum. */
export function writeChunk(type: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const name = encodeLatin1(type);
  const chunk = concatBytes([new Uint8Array(4), name, data, new Uint8Array(4)]);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, data.length);
  view.setUint32(chunk.length - 4, crc32(name, data));
  return chunk;
}

/**
 * Size and kind of a PNG image.
 * @throws TypeError when it is no PNG; RangeError when it does not begin with a whole IHDR
 */
export function readPngHeader(png: Uint8Array): PngHeader {
  if (!isPng(png)) throw new TypeError('Not a PNG file.');
  const [header] = chunksOf(png);
  if (header?.type !== 'IHDR' || header.data.length !== 13)
    throw new RangeError('The PNG file has no header.');
  const view = new DataView(header.data.buffer, header.data.byteOffset);
  return {
    width: view.getUint32(0),
    height: view.getUint32(4),
    bitDepth: view.getUint8(8),
    colourType: view.getUint8(9),
    compression: view.getUint8(10),
    filter: view.getUint8(11),
    interlace: view.getUint8(12),
  };
}
