import { decodeLatin1 } from './bytes.ts';

/** Whether the bytes begin as a JPEG file does. */
export function isJpeg(file: Uint8Array): boolean {
  return file[0] === 0xff && file[1] === 0xd8;
}

/** Whether the bytes begin as a WebP file does. */
export function isWebp(file: Uint8Array): boolean {
  return decodeLatin1(file.subarray(0, 4)) === 'RIFF' && decodeLatin1(file.subarray(8, 12)) === 'WEBP';
}

/** Whether the bytes begin as a GIF file does. */
export function isGif(file: Uint8Array): boolean {
  return decodeLatin1(file.subarray(0, 4)) === 'GIF8';
}

/** The segments of a JPEG file in front of its image (ITU-T T.81, B.1.1). */
export function* jpegSegments(file: Uint8Array): Generator<{ marker: number; data: Uint8Array }> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let position = 2; position + 4 <= file.length && file[position] === 0xff;) {
    const marker = view.getUint8(position + 1);
    // Bytes of 0xff may fill the space in front of a marker.
    if (marker === 0xff) {
      position++;
      continue;
    }
    // The image itself follows the start of scan.
    if (marker === 0xda) return;
    const length = view.getUint16(position + 2);
    yield { marker, data: file.subarray(position + 4, position + 2 + length) };
    position += 2 + length;
  }
}

/** The chunks of a WebP file (RFC 9649, §2.3). */
export function* webpChunks(file: Uint8Array): Generator<{ type: string; data: Uint8Array }> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let position = 12; position + 8 <= file.length;) {
    const size = view.getUint32(position + 4, true);
    yield {
      type: decodeLatin1(file.subarray(position, position + 4)),
      data: file.subarray(position + 8, position + 8 + size),
    };
    position += 8 + size + (size & 1);
  }
}

/** The first comment of a GIF file (GIF89a, §24), extension 0xfe in blocks of up to 255 bytes; empty if there is none. */
export function readGifComment(file: Uint8Array): string {
  const start = file.findIndex((byte, index) => byte === 0x21 && file[index + 1] === 0xfe);
  if (start < 0) return '';
  let text = '';
  for (let block = start + 2; ;) {
    const length = file[block] ?? 0;
    if (length === 0) return text;
    text += new TextDecoder().decode(file.subarray(block + 1, block + 1 + length));
    block += 1 + length;
  }
}
