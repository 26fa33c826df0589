import { deflateSync } from 'node:zlib';
import { concatBytes } from '#codecs/bytes.ts';
import { PNG_SIGNATURE, writeChunk } from '#codecs/png-chunks.ts';

/** A kind of PNG file as the format has them: PNG 1.2, §4.1.1. */
export interface PngKind {
  bitDepth: 1 | 2 | 4 | 8 | 16;
  colourType: 0 | 2 | 3 | 4 | 6;
  interlace: 0 | 1;
}

export const CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 } as const;

const DEPTHS = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
} as const;

/** All kinds there are: 15 pairs of depth and colour type, with and without Adam7. */
export const PNG_KINDS: readonly PngKind[] = ([0, 2, 3, 4, 6] as const).flatMap((colourType) =>
  DEPTHS[colourType].flatMap((bitDepth) => [
    { bitDepth, colourType, interlace: 0 as const },
    { bitDepth, colourType, interlace: 1 as const },
  ]),
);

/** First column and row, and the steps to the next, of Adam7's passes. */
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

/**
 * A PNG file of samples, written bit by bit as the format says, with the filter of each row another one.
 * @param sample the number at a column, a row and a channel, 0 … 2^bitDepth - 1
 * @param before chunks between the header and the pixels: PLTE, tRNS, gAMA …
 */
export function writePngKind(
  { bitDepth, colourType, interlace }: PngKind,
  width: number,
  height: number,
  sample: (x: number, y: number, channel: number) => number,
  { before = [], after = [] }: { before?: readonly Uint8Array[]; after?: readonly Uint8Array[] } = {},
): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([bitDepth, colourType, 0, 0, interlace], 8);
  const channels = CHANNELS[colourType];
  const rows: number[] = [];
  let filter = 0;
  for (const [x0, y0, stepX, stepY] of interlace === 1 ? ADAM7 : [[0, 0, 1, 1] as const]) {
    let above: number[] = [];
    for (let y = y0; y < height && x0 < width; y += stepY) {
      let bits = '';
      for (let x = x0; x < width; x += stepX) {
        for (let c = 0; c < channels; c++) bits += sample(x, y, c).toString(2).padStart(bitDepth, '0');
      }
      const line = (bits.match(/.{1,8}/g) ?? []).map((byte) => Number.parseInt(byte.padEnd(8, '0'), 2));
      rows.push(filter, ...applyFilter(filter, line, above, Math.ceil((channels * bitDepth) / 8)));
      above = line;
      filter = (filter + 1) % 5;
    }
  }
  return concatBytes([
    Uint8Array.from(PNG_SIGNATURE),
    writeChunk('IHDR', header),
    ...before,
    writeChunk('IDAT', deflateSync(Uint8Array.from(rows))),
    ...after,
    writeChunk('IEND', new Uint8Array()),
  ]);
}

function applyFilter(
  filter: number,
  line: readonly number[],
  above: readonly number[],
  distance: number,
): number[] {
  return line.map((value, i) => {
    const [a, b, c] = [line[i - distance] ?? 0, above[i] ?? 0, above[i - distance] ?? 0];
    const p = a + b - c;
    const [nearest = 0] = [a, b, c].toSorted((one, other) => Math.abs(p - one) - Math.abs(p - other));
    const predicted = [0, a, b, Math.floor((a + b) / 2), nearest][filter] ?? 0;
    return (value - predicted) & 0xff;
  });
}
