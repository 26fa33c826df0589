import { isGif, isJpeg, isWebp, jpegSegments, webpChunks } from './image-parts.ts';
import { isPng, readPngHeader } from './png-chunks.ts';

/** What an image file says of itself before its pixels. */
export interface ImageFacts {
  type: 'image/png' | 'image/jpeg' | 'image/webp' | 'image/gif';
  /** Pixels. */
  width: number;
  height: number;
}

/**
 * Kind and size of an image file, by its first bytes alone.
 * @throws TypeError when it is no PNG, JPEG, WebP or GIF file; RangeError when it ends before its size
 */
export function readImageFacts(file: Uint8Array): ImageFacts {
  if (isPng(file)) {
    const { width, height } = readPngHeader(file);
    return { type: 'image/png', width, height };
  }
  if (isJpeg(file)) return { type: 'image/jpeg', ...requireSize(jpegSize(file)) };
  if (isWebp(file)) return { type: 'image/webp', ...requireSize(webpSize(file)) };
  if (isGif(file)) return { type: 'image/gif', ...requireSize(gifSize(file)) };
  throw new TypeError('Not a PNG, JPEG, WebP or GIF file.');
}

type Sides = Pick<ImageFacts, 'width' | 'height'>;

function requireSize(size: Sides | undefined): Sides {
  if (size) return size;
  throw new RangeError('The image file is cut off.');
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Markers from C0 to CF that begin no frame: DHT, JPG, DAC (ITU-T T.81, table B.1). */
const NO_FRAMES: readonly number[] = [0xc4, 0xc8, 0xcc];

/** The frame header: precision, height, width (ITU-T T.81, B.2.2). */
function jpegSize(file: Uint8Array): Sides | undefined {
  for (const { marker, data } of jpegSegments(file)) {
    const isFrame = marker >= 0xc0 && marker <= 0xcf && !NO_FRAMES.includes(marker);
    if (!isFrame || data.length < 5) continue;
    const view = viewOf(data);
    return { width: view.getUint16(3), height: view.getUint16(1) };
  }
  return undefined;
}

/** The canvas of an extended file, or the header of its one frame (RFC 9649, §2.7; RFC 6386, §9.1; RFC 9649, §3.4). */
function webpSize(file: Uint8Array): Sides | undefined {
  const [first] = webpChunks(file);
  if (!first || first.data.length < 10) return undefined;
  const view = viewOf(first.data);
  switch (first.type) {
    case 'VP8X':
      return { width: 1 + read24(view, 4), height: 1 + read24(view, 7) };
    case 'VP8L': {
      const bits = view.getUint32(1, true);
      return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff) };
    }
    default:
      return { width: view.getUint16(6, true) & 0x3fff, height: view.getUint16(8, true) & 0x3fff };
  }
}

function read24(view: DataView, at: number): number {
  return view.getUint16(at, true) + view.getUint8(at + 2) * 0x10000;
}

/** The logical screen (GIF89a, §18). */
function gifSize(file: Uint8Array): Sides | undefined {
  if (file.length < 10) return undefined;
  const view = viewOf(file);
  return { width: view.getUint16(6, true), height: view.getUint16(8, true) };
}
