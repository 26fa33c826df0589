import { concatBytes } from './bytes.ts';
import { ASCII, EXIF_HEADER, EXIF_TAG, LONG, UNDEFINED, type ExifText } from './exif-tags.ts';
import { isJpeg, isWebp, webpChunks } from './image-parts.ts';

type Bytes = Uint8Array<ArrayBuffer>;

/** Bytes per value of the TIFF field types that are written. */
const TYPE_SIZE: Readonly<Record<number, number>> = { [ASCII]: 1, [LONG]: 4, [UNDEFINED]: 1 };

const ascii = (value: string) => new TextEncoder().encode(value);

function encodeUserComment(comment: string): Bytes {
  const bytes = new Uint8Array(8 + comment.length * 2);
  bytes.set(ascii('UNICODE'));
  const view = new DataView(bytes.buffer);
  for (let index = 0; index < comment.length; index++)
    view.setUint16(8 + index * 2, comment.charCodeAt(index));
  return bytes;
}

interface Field {
  tag: number;
  type: number;
  data: Uint8Array;
}

/** A directory at `offset` of its TIFF file: entries, then what does not fit in them. */
function directory(fields: readonly Field[], offset: number): Bytes {
  const entries = new Uint8Array(2 + fields.length * 12 + 4);
  const view = new DataView(entries.buffer);
  const outside: Uint8Array[] = [];
  let end = offset + entries.length;
  view.setUint16(0, fields.length);
  fields.forEach(({ tag, type, data }, index) => {
    const entry = 2 + index * 12;
    view.setUint16(entry, tag);
    view.setUint16(entry + 2, type);
    view.setUint32(entry + 4, data.length / (TYPE_SIZE[type] ?? 1));
    if (data.length <= 4) {
      entries.set(data, entry + 8);
    } else {
      view.setUint32(entry + 8, end);
      outside.push(data);
      end += data.length;
    }
  });
  return concatBytes([entries, ...outside]);
}

function writeTiff({ userComment, makerNote, software }: ExifText): Bytes {
  const first: Field[] =
    software === undefined ? [] : [{ tag: EXIF_TAG.software, type: ASCII, data: ascii(`${software}\0`) }];
  const exif: Field[] = [
    ...(makerNote === undefined
      ? []
      : [{ tag: EXIF_TAG.makerNote, type: UNDEFINED, data: ascii(makerNote) }]),
    ...(userComment === undefined
      ? []
      : [{ tag: EXIF_TAG.userComment, type: UNDEFINED, data: encodeUserComment(userComment) }]),
  ];
  const header = Uint8Array.of(0x4d, 0x4d, 0, 42, 0, 0, 0, 8);
  const pointer = (offset: number): Field => {
    const data = new Uint8Array(4);
    new DataView(data.buffer).setUint32(0, offset);
    return { tag: EXIF_TAG.exifDirectory, type: LONG, data };
  };
  const exifOffset = 8 + directory([...first, pointer(0)], 8).length;
  return concatBytes([header, directory([...first, pointer(exifOffset)], 8), directory(exif, exifOffset)]);
}

function webpChunk(type: string, data: Uint8Array): Bytes {
  const head = new Uint8Array(8);
  head.set(ascii(type));
  new DataView(head.buffer).setUint32(4, data.length, true);
  return concatBytes([head, data, new Uint8Array(data.length & 1)]);
}

/** Size and alpha from the first frame of a simple WebP file (RFC 9649). */
function extendedHeader({ type, data }: { type: string; data: Uint8Array }): Bytes {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const lossless = type === 'VP8L';
  const bits = lossless ? view.getUint32(1, true) : 0;
  const width = lossless ? bits & 0x3fff : (view.getUint16(6, true) & 0x3fff) - 1;
  const height = lossless ? (bits >>> 14) & 0x3fff : (view.getUint16(8, true) & 0x3fff) - 1;
  const header = new Uint8Array(10);
  header[0] = (bits >>> 28) & 1 ? 0x10 : 0;
  for (let byte = 0; byte < 3; byte++) {
    header[4 + byte] = width >>> (8 * byte);
    header[7 + byte] = height >>> (8 * byte);
  }
  return header;
}

function writeWebpExif(file: Uint8Array, tiff: Uint8Array): Bytes {
  const chunks = [...webpChunks(file)].filter(({ type }) => type !== 'EXIF');
  const [first] = chunks;
  if (!first) throw new RangeError('The WebP file has no image.');
  const header = first.type === 'VP8X' ? Uint8Array.from(first.data) : extendedHeader(first);
  header[0] = (header[0] ?? 0) | 0x08;
  const rest = first.type === 'VP8X' ? chunks.slice(1) : chunks;
  const body = concatBytes([
    ascii('WEBP'),
    webpChunk('VP8X', header),
    ...rest.map(({ type, data }) => webpChunk(type, data)),
    webpChunk('EXIF', tiff),
  ]);
  return webpChunk('RIFF', body);
}

/** Bytes in a JPEG segment besides its length. */
const MOST_SEGMENT_BYTES = 0xffff - 2;

/**
 * The JPEG or WebP file with these texts; the pixels are copied unchanged.
 * @throws RangeError when the texts are too long for a JPEG file (64 kB)
 */
export function writeExif(file: Uint8Array, exif: ExifText): Bytes {
  const tiff = writeTiff(exif);
  if (isWebp(file)) return writeWebpExif(file, tiff);
  if (!isJpeg(file)) throw new TypeError('Neither a JPEG nor a WebP file.');
  const length = EXIF_HEADER.length + tiff.length;
  if (length > MOST_SEGMENT_BYTES) throw new RangeError('The text is too long for a JPEG file.');
  const marker = Uint8Array.of(0xff, 0xe1, (length + 2) >>> 8, (length + 2) & 0xff);
  return concatBytes([file.subarray(0, 2), marker, EXIF_HEADER, tiff, file.subarray(2)]);
}
