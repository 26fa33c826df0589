import { decodeLatin1 } from './bytes.ts';
import { ASCII, EXIF_HEADER, EXIF_TAG, LONG, UNDEFINED, type ExifText } from './exif-tags.ts';
import { isJpeg, isWebp, jpegSegments, webpChunks } from './image-parts.ts';
import { chunksOf, isPng } from './png-chunks.ts';

// Parsed by hand: the service worker may have 90 kB and needs 85.5. Gzipped, exifreader 4.46 takes 36.3 kB, and hands over a
// UserComment in UNICODE undecoded; exifr 7.1 takes 14.5 kB and knows no WebP; tiff 7.1 takes 6.6 kB; this takes about 1.

/** Bytes per value of each TIFF field type; others are not read. */
const TYPE_SIZE: Readonly<Record<number, number>> = { 1: 1, [ASCII]: 1, 3: 2, [LONG]: 4, [UNDEFINED]: 1 };

const APP1 = 0xe1;

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).replace(/\0+$/, '');

/**
 * The texts in the EXIF of a JPEG, WebP or PNG (`eXIf`) file, which is empty where it is missing or broken, as the reference
 * takes it; null for other files.
 */
export function readExif(file: Uint8Array): ExifText | null {
  const tiff = findExif(file);
  if (!tiff) return tiff === null ? null : {};
  try {
    // Some writers keep the header that belongs to JPEG in other files too.
    return readTiff(startsWith(tiff, EXIF_HEADER) ? tiff.subarray(EXIF_HEADER.length) : tiff);
  } catch (thrown) {
    if (thrown instanceof RangeError) return {};
    throw thrown;
  }
}

/** Undefined where a file that can hold EXIF has none, null where it cannot. */
function findExif(file: Uint8Array): Uint8Array | undefined | null {
  if (isJpeg(file)) {
    const isExif = ({ marker, data }: { marker: number; data: Uint8Array }) =>
      marker === APP1 && startsWith(data, EXIF_HEADER);
    return [...jpegSegments(file)].find(isExif)?.data;
  }
  if (isWebp(file)) return [...webpChunks(file)].find(({ type }) => type === 'EXIF')?.data;
  if (isPng(file)) return [...chunksOf(file)].find(({ type }) => type === 'eXIf')?.data;
  return null;
}

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return start.every((byte, index) => bytes[index] === byte);
}

/** @throws RangeError for offsets outside of the data */
function readTiff(tiff: Uint8Array): ExifText {
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  const little = view.getUint16(0) === 0x4949;
  const first = readDirectory(view, view.getUint32(4, little), little);
  const pointer = first.get(EXIF_TAG.exifDirectory);
  const exif = pointer
    ? readDirectory(view, new DataView(pointer.buffer, pointer.byteOffset).getUint32(0, little), little)
    : first;
  const userComment = exif.get(EXIF_TAG.userComment) ?? first.get(EXIF_TAG.userComment);
  const makerNote = exif.get(EXIF_TAG.makerNote);
  const software = first.get(EXIF_TAG.software);
  return {
    ...(userComment && { userComment: decodeUserComment(userComment, little) }),
    ...(makerNote && { makerNote: text(makerNote) }),
    ...(software && { software: text(software) }),
  };
}

/** The values of a directory's tags (TIFF 6, §2). */
function readDirectory(view: DataView, offset: number, little: boolean): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  const count = view.getUint16(offset, little);
  for (let entry = offset + 2; entry < offset + 2 + count * 12; entry += 12) {
    const size = (TYPE_SIZE[view.getUint16(entry + 2, little)] ?? 0) * view.getUint32(entry + 4, little);
    const start = size > 4 ? view.getUint32(entry + 8, little) : entry + 8;
    // A value that reaches beyond the data is one tag the less, not the end of all.
    if (start + size > view.byteLength) continue;
    found.set(view.getUint16(entry, little), new Uint8Array(view.buffer, view.byteOffset + start, size));
  }
  return found;
}

/** What its first 8 bytes say (Exif 2.32, §4.6.5); without a known character code it is UTF-8 as a whole, as in piexif. */
function decodeUserComment(data: Uint8Array, fileIsLittleEndian: boolean): string {
  const code = text(data.subarray(0, 8));
  const body = data.subarray(8);
  if (code === 'UNICODE') return decodeUtf16(body, fileIsLittleEndian);
  return text(code === 'ASCII' || code === '' ? body : data);
}

/**
 * A1111 writes big-endian in any file, others follow the file. Where there is Latin text its zeros tell, and
 * there nearly always is: the last line of an infotext.
 */
function decodeUtf16(body: Uint8Array, fileIsLittleEndian: boolean): string {
  const zeros = [0, 0];
  body.forEach((byte, index) => {
    if (byte === 0) zeros[index % 2] = (zeros[index % 2] ?? 0) + 1;
  });
  const [inFront = 0, behind = 0] = zeros;
  const mark = decodeLatin1(body.subarray(0, 2));
  const little =
    mark === '\xff\xfe' ||
    (mark !== '\xfe\xff' && (inFront === behind ? fileIsLittleEndian : behind > inFront));
  return new TextDecoder(little ? 'utf-16le' : 'utf-16be').decode(body).replace(/\0+$/, '');
}
