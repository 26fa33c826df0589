/** The pixels that one pass of an image holds: every `stepX`th column from `x`, every `stepY`th row from `y`. */
interface Pass {
  x: number;
  y: number;
  stepX: number;
  stepY: number;
}

/** PNG 1.2, §2.6: Adam7. */
const ADAM7: readonly Pass[] = [
  { x: 0, y: 0, stepX: 8, stepY: 8 },
  { x: 4, y: 0, stepX: 8, stepY: 8 },
  { x: 0, y: 4, stepX: 4, stepY: 8 },
  { x: 2, y: 0, stepX: 4, stepY: 4 },
  { x: 0, y: 2, stepX: 2, stepY: 4 },
  { x: 1, y: 0, stepX: 2, stepY: 2 },
  { x: 0, y: 1, stepX: 1, stepY: 2 },
];

const ALL: readonly Pass[] = [{ x: 0, y: 0, stepX: 1, stepY: 1 }];

/** How the samples of a PNG image are laid out in its bytes. */
export interface SampleLayout {
  width: number;
  height: number;
  /** Samples per pixel. */
  channels: number;
  bitDepth: number;
  interlaced: boolean;
}

/** A pass with its rows; passes without a pixel are not in the file. */
function passesOf({ width, height, channels, bitDepth, interlaced }: SampleLayout) {
  return (interlaced ? ADAM7 : ALL)
    .map((pass) => {
      const columns = Math.ceil((width - pass.x) / pass.stepX);
      const rows = Math.ceil((height - pass.y) / pass.stepY);
      return { ...pass, columns, rows, rowBytes: Math.ceil((columns * channels * bitDepth) / 8) };
    })
    .filter(({ columns, rows }) => columns > 0 && rows > 0);
}

/** Bytes of all rows of an image, each with the byte that names its filter. */
export function scanlineBytes(layout: SampleLayout): number {
  return passesOf(layout).reduce((sum, { rows, rowBytes }) => sum + rows * (1 + rowBytes), 0);
}

/**
 * The samples of an image as the numbers they are, 0 … 2^bitDepth - 1, channels of a pixel side by side, rows from the top,
 * from its inflated rows.
 * @throws RangeError for filters that PNG does not have
 */
export function readSamples(scanlines: Uint8Array, layout: SampleLayout): Uint8Array | Uint16Array {
  const { width, height, channels, bitDepth } = layout;
  const count = width * height * channels;
  const samples = bitDepth > 8 ? new Uint16Array(count) : new Uint8Array(count);
  const pixelBytes = Math.max(1, (channels * bitDepth) >> 3);
  let position = 0;
  for (const { x, y, stepX, stepY, columns, rows, rowBytes } of passesOf(layout)) {
    let above = new Uint8Array(rowBytes);
    for (let row = 0; row < rows; row++) {
      const line = scanlines.slice(position + 1, position + 1 + rowBytes);
      unfilter(scanlines[position] ?? 0, line, above, pixelBytes);
      const start = (y + row * stepY) * width + x;
      if (bitDepth === 8 && stepX === 1) samples.set(line, start * channels);
      else
        for (let column = 0; column < columns; column++) {
          for (let channel = 0; channel < channels; channel++) {
            samples[(start + column * stepX) * channels + channel] = sampleAt(
              line,
              column * channels + channel,
              bitDepth,
            );
          }
        }
      above = line;
      position += 1 + rowBytes;
    }
  }
  return samples;
}

function sampleAt(line: Uint8Array, index: number, bitDepth: number): number {
  if (bitDepth === 8) return line[index] ?? 0;
  if (bitDepth === 16) return ((line[2 * index] ?? 0) << 8) | (line[2 * index + 1] ?? 0);
  const bit = index * bitDepth;
  return ((line[bit >> 3] ?? 0) >> (8 - bitDepth - (bit & 7))) & (2 ** bitDepth - 1);
}

/** Adds what was predicted to a row, in place (PNG 1.2, §6). `distance` is to the same byte of the pixel on the left. */
function unfilter(filter: number, line: Uint8Array, above: Uint8Array, distance: number): void {
  if (filter > 4) throw new RangeError('The PNG file is damaged: it uses an unknown filter.');
  if (filter === 0) return;
  for (let i = 0; i < line.length; i++) {
    const left = line[i - distance] ?? 0;
    const up = above[i] ?? 0;
    const predicted =
      filter === 1
        ? left
        : filter === 2
          ? up
          : filter === 3
            ? (left + up) >> 1
            : paeth(left, up, above[i - distance] ?? 0);
    line[i] = (line[i] ?? 0) + predicted;
  }
}

/** Which of the three is nearest to left + up - corner; ties go to the first (PNG 1.2, §6.6). */
function paeth(left: number, up: number, corner: number): number {
  const toLeft = Math.abs(up - corner);
  const toUp = Math.abs(left - corner);
  const toCorner = Math.abs(left + up - 2 * corner);
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}
