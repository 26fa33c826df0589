import { encode } from 'fast-png';
import { unzlibSync } from 'fflate';
import { concatBytes, encodeLatin1 } from './bytes.ts';
import { chunksOf, crc32, readPngHeader, type PngChunk, type PngHeader } from './png-chunks.ts';
import { readSamples, scanlineBytes } from './png-scanlines.ts';
import { writePngText, type PngText } from './png-text.ts';

/** Pixels in rows from the top, 8 bits per channel, 3 (RGB) or 4 (RGBA) channels. */
export interface Pixels {
  width: number;
  height: number;
  channels: 3 | 4;
  data: Uint8Array | Uint8ClampedArray;
}

/** Of 0 to 9: takes two fifths of the time of 6, the usual one, for files one percent larger. */
const COMPRESSION_LEVEL = 4;

/** A PNG file of these pixels, with texts such as A1111's `parameters`. Same input, same bytes. */
export function encodePng(
  { width, height, channels, data }: Pixels,
  text: PngText = {},
): Uint8Array<ArrayBuffer> {
  const image = { width, height, channels, depth: 8 } as const;
  return writePngText(encode({ ...image, data }, { zlib: { level: COMPRESSION_LEVEL } }), text);
}

/** Samples per pixel and the depths there are, by colour type (PNG 1.2, §4.1.1). */
const COLOUR_TYPES: Readonly<Record<number, { channels: number; bitDepths: readonly number[] }>> = {
  0: { channels: 1, bitDepths: [1, 2, 4, 8, 16] },
  2: { channels: 3, bitDepths: [8, 16] },
  3: { channels: 1, bitDepths: [1, 2, 4, 8] },
  4: { channels: 2, bitDepths: [8, 16] },
  6: { channels: 4, bitDepths: [8, 16] },
};

const PALETTE = 3;
const NEEDED_CHUNKS: ReadonlySet<string> = new Set(['IHDR', 'PLTE', 'tRNS', 'IDAT']);

/**
 * The pixels of a PNG file of any kind, as RGB, or as RGBA where it has alpha or `tRNS`: grey is spread over its range,
 * palettes are looked up, the low byte of 16 bits is dropped. Gamma and colour profiles are ignored, as reference programs
 * do. Written here because fast-png takes interlaced samples of less than 8 bits apart wrongly, and refuses images for broken
 * chunks that have nothing to do with their pixels.
 * @throws TypeError when it is no PNG; RangeError when the file is damaged, cut off, or of a kind that PNG does not have
 */
export function decodePng(png: Uint8Array): Pixels {
  const header = readPngHeader(png);
  const { width, height } = header;
  const type = COLOUR_TYPES[header.colourType];
  if (
    !type?.bitDepths.includes(header.bitDepth) ||
    header.compression !== 0 ||
    header.filter !== 0 ||
    header.interlace > 1 ||
    width * height === 0
  )
    throw new RangeError('The PNG file is damaged: its header describes no PNG image.');
  const chunks = [...chunksOf(png)].filter(({ type: name }) => NEEDED_CHUNKS.has(name));
  for (const chunk of chunks) checkCrc(chunk);
  const dataOf = (name: string) => chunks.filter((chunk) => chunk.type === name).map(({ data }) => data);
  const layout = { ...header, channels: type.channels, interlaced: header.interlace === 1 };
  const samples = readSamples(inflate(concatBytes(dataOf('IDAT')), scanlineBytes(layout)), layout);
  const [palette] = dataOf('PLTE');
  const [transparency] = dataOf('tRNS');
  return header.colourType === PALETTE
    ? lookUp(header, samples, palette, transparency)
    : spread(header, samples, type.channels, transparency);
}

function checkCrc({ type, data, crc }: PngChunk): void {
  if (crc32(encodeLatin1(type), data) === crc) return;
  throw new RangeError(`The PNG file is damaged: the checksum of chunk ${type} does not match.`);
}

/** @throws RangeError for less than `length` bytes; bytes beyond them are never unpacked */
function inflate(data: Uint8Array, length: number): Uint8Array {
  let rows: Uint8Array;
  try {
    rows = unzlibSync(data, { out: new Uint8Array(length) });
  } catch (thrown) {
    throw new RangeError('The PNG file is truncated or damaged.', { cause: thrown });
  }
  if (rows.length < length) throw new RangeError('The PNG file is truncated.');
  return rows;
}

function lookUp(
  { width, height }: PngHeader,
  indices: Uint8Array | Uint16Array,
  palette: Uint8Array | undefined,
  alphas: Uint8Array | undefined,
): Pixels {
  if (!palette) throw new RangeError('The PNG file is damaged: it has no palette.');
  const channels = alphas ? 4 : 3;
  const pixels = new Uint8Array(indices.length * channels);
  indices.forEach((index, pixel) => {
    pixels.set(palette.subarray(index * 3, index * 3 + 3), pixel * channels);
    if (alphas) pixels[pixel * 4 + 3] = alphas[index] ?? 255;
  });
  return { width, height, channels, data: pixels };
}

/** @param key the colour that is transparent: a 16-bit number for each channel */
function spread(
  { width, height, bitDepth }: PngHeader,
  samples: Uint8Array | Uint16Array,
  sampleChannels: number,
  key: Uint8Array | undefined,
): Pixels {
  const colours = sampleChannels < 3 ? 1 : 3;
  const hasAlpha = sampleChannels === 2 || sampleChannels === 4;
  const channels = hasAlpha || key ? 4 : 3;
  // Most files are what is wanted already.
  if (samples instanceof Uint8Array && bitDepth === 8 && sampleChannels === channels)
    return { width, height, channels, data: samples };
  const keyOf = (colour: number) => ((key?.[2 * colour] ?? 0) << 8) | (key?.[2 * colour + 1] ?? 0);
  const keys = [keyOf(0), keyOf(1), keyOf(2)].slice(0, colours);
  const to8Bits = (value: number) => (bitDepth === 16 ? value >> 8 : (value * 255) / (2 ** bitDepth - 1));
  const pixels = new Uint8Array(width * height * channels);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const from = pixel * sampleChannels;
    for (let c = 0; c < 3; c++) pixels[pixel * channels + c] = to8Bits(samples[from + (c % colours)] ?? 0);
    if (hasAlpha) pixels[pixel * 4 + 3] = to8Bits(samples[from + colours] ?? 0);
    else if (key) pixels[pixel * 4 + 3] = keys.every((value, c) => samples[from + c] === value) ? 0 : 255;
  }
  return { width, height, channels, data: pixels };
}
