/** The tags that image generators use, of files that have no text chunks. */
export interface ExifText {
  /** Tag 0x9286 of the Exif directory: the infotext. */
  userComment?: string;
  /** Tag 0x927c of the Exif directory: Fooocus's metadata scheme. */
  makerNote?: string;
  /** Tag 0x0131. */
  software?: string;
}

type Bytes = Uint8Array<ArrayBuffer>;

const TAG = { software: 0x0131, exifDirectory: 0x8769, makerNote: 0x927c, userComment: 0x9286 };
const ASCII = 2;
const LONG = 4;
const UNDEFINED = 7;
/** Bytes per value of each TIFF field type; others are not read. */
const TYPE_SIZE: Readonly<Record<number, number>> = { 1: 1, [ASCII]: 1, 3: 2, [LONG]: 4, [UNDEFINED]: 1 };

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).replace(/\0+$/, '');
const ascii = (value: string) => new TextEncoder().encode(value);

function concat(parts: readonly Uint8Array[]): Bytes {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let position = 0;
  for (const part of parts) {
    whole.set(part, position);
    position += part.length;
  }
  return whole;
}

/** `UNICODE` and UTF-16 as A1111 writes it (big-endian, whatever the file's order); `ASCII` and others as UTF-8. */
function decodeUserComment(data: Uint8Array, fileIsLittleEndian: boolean): string {
  const charset = text(data.subarray(0, 8));
  const body = data.subarray(8);
  if (charset !== 'UNICODE') return text(charset === 'ASCII' || charset === '' ? body : data);
  // Some writers follow the file's order: Latin text shows which by where its zeros are.
  const littleEndian = body[1] === 0 && body[0] !== 0 ? true : body[0] === 0 ? false : fileIsLittleEndian;
  return new TextDecoder(littleEndian ? 'utf-16le' : 'utf-16be').decode(body).replace(/\0+$/, '');
}

function encodeUserComment(comment: string): Bytes {
  const bytes = new Uint8Array(8 + comment.length * 2);
  bytes.set(ascii('UNICODE'));
  const view = new DataView(bytes.buffer);
  for (let index = 0; index < comment.length; index++)
    view.setUint16(8 + index * 2, comment.charCodeAt(index));
  return bytes;
}

function readTiff(tiff: Uint8Array): ExifText {
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  const little = view.getUint16(0) === 0x4949;
  const found = new Map<number, Uint8Array>();
  const readDirectory = (offset: number): void => {
    const count = view.getUint16(offset, little);
    for (let entry = offset + 2; entry < offset + 2 + count * 12; entry += 12) {
      const tag = view.getUint16(entry, little);
      const size = (TYPE_SIZE[view.getUint16(entry + 2, little)] ?? 0) * view.getUint32(entry + 4, little);
      const start = size > 4 ? view.getUint32(entry + 8, little) : entry + 8;
      if (tag === TAG.exifDirectory) readDirectory(view.getUint32(start, little));
      else found.set(tag, tiff.subarray(start, start + size));
    }
  };
  readDirectory(view.getUint32(4, little));
  const [userComment, makerNote, software] = [TAG.userComment, TAG.makerNote, TAG.software].map((tag) =>
    found.get(tag),
  );
  return {
    ...(userComment && { userComment: decodeUserComment(userComment, little) }),
    ...(makerNote && { makerNote: text(makerNote) }),
    ...(software && { software: text(software) }),
  };
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
  return concat([entries, ...outside]);
}

function writeTiff({ userComment, makerNote, software }: ExifText): Bytes {
  const first: Field[] =
    software === undefined ? [] : [{ tag: TAG.software, type: ASCII, data: ascii(`${software}\0`) }];
  const exif: Field[] = [
    ...(makerNote === undefined ? [] : [{ tag: TAG.makerNote, type: UNDEFINED, data: ascii(makerNote) }]),
    ...(userComment === undefined
      ? []
      : [{ tag: TAG.userComment, type: UNDEFINED, data: encodeUserComment(userComment) }]),
  ];
  const header = Uint8Array.of(0x4d, 0x4d, 0, 42, 0, 0, 0, 8);
  const pointer = (offset: number): Field => {
    const data = new Uint8Array(4);
    new DataView(data.buffer).setUint32(0, offset);
    return { tag: TAG.exifDirectory, type: LONG, data };
  };
  const exifOffset = 8 + directory([...first, pointer(0)], 8).length;
  return concat([header, directory([...first, pointer(exifOffset)], 8), directory(exif, exifOffset)]);
}

const EXIF_HEADER = ascii('Exif\0\0');

function isJpeg(file: Uint8Array): boolean {
  return file[0] === 0xff && file[1] === 0xd8;
}

function isWebp(file: Uint8Array): boolean {
  return text(file.subarray(0, 4)) === 'RIFF' && text(file.subarray(8, 12)) === 'WEBP';
}

function* jpegSegments(file: Uint8Array): Generator<{ marker: number; data: Uint8Array }> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let position = 2; position + 4 <= file.length && file[position] === 0xff;) {
    const marker = view.getUint8(position + 1);
    const length = view.getUint16(position + 2);
    // The image itself follows the start of scan.
    if (marker === 0xda) return;
    yield { marker, data: file.subarray(position + 4, position + 2 + length) };
    position += 2 + length;
  }
}

function* webpChunks(file: Uint8Array): Generator<{ type: string; data: Uint8Array }> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let position = 12; position + 8 <= file.length;) {
    const size = view.getUint32(position + 4, true);
    yield {
      type: new TextDecoder().decode(file.subarray(position, position + 4)),
      data: file.subarray(position + 8, position + 8 + size),
    };
    position += 8 + size + (size & 1);
  }
}

/** The texts in the EXIF of a JPEG or WebP file; null for other files. @throws RangeError when it is broken */
export function readExif(file: Uint8Array): ExifText | null {
  if (isJpeg(file)) {
    for (const { marker, data } of jpegSegments(file)) {
      if (marker === 0xe1 && text(data.subarray(0, 4)) === 'Exif')
        return readTiff(data.subarray(EXIF_HEADER.length));
    }
    return {};
  }
  if (!isWebp(file)) return null;
  for (const { type, data } of webpChunks(file)) {
    // Some writers keep the header that belongs to JPEG.
    if (type === 'EXIF') return readTiff(text(data.subarray(0, 4)) === 'Exif' ? data.subarray(6) : data);
  }
  return {};
}

function webpChunk(type: string, data: Uint8Array): Bytes {
  const head = new Uint8Array(8);
  head.set(ascii(type));
  new DataView(head.buffer).setUint32(4, data.length, true);
  return concat([head, data, new Uint8Array(data.length & 1)]);
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
  const body = concat([
    ascii('WEBP'),
    webpChunk('VP8X', header),
    ...rest.map(({ type, data }) => webpChunk(type, data)),
    webpChunk('EXIF', tiff),
  ]);
  return webpChunk('RIFF', body);
}

/** Bytes a JPEG segment holds besides its length. */
const MOST_SEGMENT_BYTES = 0xffff - 2;

/**
 * The JPEG or WebP file with these texts; the pixels are copied as they are.
 * @throws RangeError when the texts are too long for a JPEG file (64 kB)
 */
export function writeExif(file: Uint8Array, exif: ExifText): Bytes {
  const tiff = writeTiff(exif);
  if (isWebp(file)) return writeWebpExif(file, tiff);
  if (!isJpeg(file)) throw new TypeError('Neither a JPEG nor a WebP file.');
  const length = EXIF_HEADER.length + tiff.length;
  if (length > MOST_SEGMENT_BYTES) throw new RangeError('The text is too long for a JPEG file.');
  const marker = Uint8Array.of(0xff, 0xe1, (length + 2) >>> 8, (length + 2) & 0xff);
  return concat([file.subarray(0, 2), marker, EXIF_HEADER, tiff, file.subarray(2)]);
}
