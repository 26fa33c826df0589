import type { Pixels } from '#imaging/pixels.ts';

/** Letters of five columns, each a column's seven rows as bits, the lowest bit at the top. */
const LETTERS: Readonly<Record<string, readonly number[]>> = {
  S: [0x26, 0x49, 0x49, 0x49, 0x32],
  c: [0x38, 0x44, 0x44, 0x44, 0x28],
  e: [0x38, 0x54, 0x54, 0x54, 0x18],
  i: [0x00, 0x44, 0x7d, 0x40, 0x00],
  n: [0x7c, 0x08, 0x04, 0x04, 0x78],
  o: [0x38, 0x44, 0x44, 0x44, 0x38],
  s: [0x48, 0x54, 0x54, 0x54, 0x24],
  t: [0x04, 0x3f, 0x44, 0x40, 0x20],
  v: [0x1c, 0x20, 0x40, 0x20, 0x1c],
  ' ': [0x00, 0x00, 0x00, 0x00, 0x00],
};

const ROWS = 7;

/** Columns from one letter to the next. */
const ADVANCE = 6;

/** Of the image's width: what the words fill. */
const WIDTH = 0.8;

/** Between black and white. */
const INK = 200;

/**
 * Writes a line of these letters into the middle of an image. There is no canvas where images are checked, and no font.
 * @returns the same image
 */
export function writeNotice(image: Pixels, words: string): Pixels {
  const dot = Math.max(1, Math.floor((image.width * WIDTH) / (words.length * ADVANCE)));
  const left = Math.floor((image.width - words.length * ADVANCE * dot) / 2);
  const top = Math.floor((image.height - ROWS * dot) / 2);
  Array.from(words, (letter, place) => {
    (LETTERS[letter] ?? []).forEach((column, x) => {
      for (let y = 0; y < ROWS; y++) {
        if (column & (1 << y)) fillDot(image, left + (place * ADVANCE + x) * dot, top + y * dot, dot);
      }
    });
  });
  return image;
}

function fillDot({ width, height, channels, data }: Pixels, left: number, top: number, dot: number): void {
  for (let y = Math.max(0, top); y < Math.min(top + dot, height); y++) {
    const from = y * width + Math.max(0, left);
    const to = y * width + Math.min(left + dot, width);
    if (to > from) data.fill(INK, from * channels, to * channels);
  }
}
