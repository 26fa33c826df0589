import { describe, expect, it } from 'vitest';
import { decodePng } from '#codecs/png.ts';
import { writeChunk } from '#codecs/png-chunks.ts';
import { CHANNELS, PNG_KINDS, writePngKind, type PngKind } from '../../support/png-kinds.ts';

/** Not a multiple of 8: rows end within a byte, and Adam7's passes are uneven. */
const WIDTH = 13;
const HEIGHT = 11;

const PALETTE = Array.from({ length: 256 }, (_, i) => [i, 255 - i, (i * 7) % 256] as const);

/** Samples over the whole range of a depth, each channel another. */
const sampleOf =
  ({ bitDepth }: PngKind) =>
  (x: number, y: number, channel: number) =>
    ((x * 31 + y * 57 + channel * 91) * 2654435761) % 2 ** bitDepth;

/** What a sample is in 8 bits. */
const in8Bits = (value: number, bitDepth: number) =>
  bitDepth === 16 ? Math.floor(value / 256) : Math.round((value * 255) / (2 ** bitDepth - 1));

const paletteChunk = ({ bitDepth }: PngKind) =>
  writeChunk('PLTE', Uint8Array.from(PALETTE.slice(0, 2 ** bitDepth).flat()));

const GAMMA = writeChunk('gAMA', Uint8Array.of(0, 0, 0x27, 0x10));

/** The pixels that a file of a kind must have, channel by channel. */
function expected(kind: PngKind): number[] {
  const sample = sampleOf(kind);
  const pixels: number[] = [];
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++) {
      const at = (channel: number) => in8Bits(sample(x, y, channel), kind.bitDepth);
      if (kind.colourType === 0) pixels.push(at(0), at(0), at(0));
      if (kind.colourType === 2) pixels.push(at(0), at(1), at(2));
      if (kind.colourType === 3) pixels.push(...(PALETTE[sample(x, y, 0)] ?? []));
      if (kind.colourType === 4) pixels.push(at(0), at(0), at(0), at(1));
      if (kind.colourType === 6) pixels.push(at(0), at(1), at(2), at(3));
    }
  }
  return pixels;
}

describe.each(PNG_KINDS)('colour type $colourType, $bitDepth bits, interlace $interlace', (kind) => {
  const before = [GAMMA, ...(kind.colourType === 3 ? [paletteChunk(kind)] : [])];

  it('reads every pixel, whatever the gamma', () => {
    const png = writePngKind(kind, WIDTH, HEIGHT, sampleOf(kind), { before });
    const { width, height, channels, data } = decodePng(png);
    expect([width, height, channels]).toEqual([WIDTH, HEIGHT, kind.colourType >= 4 ? 4 : 3]);
    expect([...data]).toEqual(expected(kind));
  });

  it('reads images of one to three pixels a side', () => {
    for (const [width, height] of [
      [1, 1],
      [3, 1],
      [1, 3],
      [3, 2],
    ] as const) {
      const { data } = decodePng(writePngKind(kind, width, height, sampleOf(kind), { before }));
      const wide = expected(kind);
      const channels = kind.colourType >= 4 ? 4 : 3;
      const rows = Array.from({ length: height }, (_, y) =>
        wide.slice(y * WIDTH * channels, (y * WIDTH + width) * channels),
      );
      expect([...data]).toEqual(rows.flat());
    }
  });
});

describe('tRNS', () => {
  const opaque = PNG_KINDS.filter(({ colourType }) => colourType < 3);

  it.each(opaque)('colour type $colourType, $bitDepth bits, interlace $interlace: one colour', (kind) => {
    const sample = sampleOf(kind);
    const channels = CHANNELS[kind.colourType];
    const key = Array.from({ length: channels }, (_, channel) => sample(4, 5, channel));
    const transparency = writeChunk(
      'tRNS',
      Uint8Array.from(key.flatMap((value) => [value >> 8, value & 255])),
    );
    const { channels: read, data } = decodePng(
      writePngKind(kind, WIDTH, HEIGHT, sample, { before: [transparency] }),
    );
    expect(read).toBe(4);
    const alphas = Array.from({ length: WIDTH * HEIGHT }, (_, pixel) => {
      const [x, y] = [pixel % WIDTH, Math.floor(pixel / WIDTH)];
      return key.every((value, channel) => sample(x, y, channel) === value) ? 0 : 255;
    });
    expect(Array.from(alphas, (_, pixel) => data[pixel * 4 + 3])).toEqual(alphas);
    expect(alphas).toContain(0);
    expect(alphas).toContain(255);
  });

  it('tells 16-bit colours apart that differ in the low byte only', () => {
    const kind = { bitDepth: 16, colourType: 0, interlace: 0 } as const;
    const png = writePngKind(kind, 2, 1, (x) => 0x1200 + x, {
      before: [writeChunk('tRNS', Uint8Array.of(0x12, 0x01))],
    });
    expect([...decodePng(png).data]).toEqual([0x12, 0x12, 0x12, 255, 0x12, 0x12, 0x12, 0]);
  });

  it.each(PNG_KINDS.filter(({ colourType }) => colourType === 3))(
    'palette of $bitDepth bits, interlace $interlace: colours that are not listed are opaque',
    (kind) => {
      const before = [paletteChunk(kind), writeChunk('tRNS', Uint8Array.of(9))];
      const sample = sampleOf(kind);
      const { data } = decodePng(writePngKind(kind, WIDTH, HEIGHT, sample, { before }));
      const pixels = Array.from({ length: WIDTH * HEIGHT }, (_, pixel) => {
        const index = sample(pixel % WIDTH, Math.floor(pixel / WIDTH), 0);
        return [...(PALETTE[index] ?? []), index === 0 ? 9 : 255];
      });
      expect([...data]).toEqual(pixels.flat());
    },
  );
});

describe('damaged files', () => {
  const kind = { bitDepth: 8, colourType: 2, interlace: 0 } as const;
  const png = writePngKind(kind, 32, 32, sampleOf(kind));

  it.each([0.2, 0.5, 0.9])('says that a file is cut off after %f of its bytes', (share) => {
    const part = png.subarray(0, Math.floor(png.length * share));
    expect(() => decodePng(part)).toThrow('The PNG file is truncated');
  });

  it('notices a byte that was changed', () => {
    const changed = Uint8Array.from(png);
    const at = Math.floor(png.length / 2);
    changed[at] = (changed[at] ?? 0) ^ 0x10;
    expect(() => decodePng(changed)).toThrow('the checksum of chunk IDAT does not match');
  });

  it('refuses headers of no PNG image', () => {
    expect(() => decodePng(writePngKind({ ...kind, bitDepth: 4 }, 2, 2, () => 1))).toThrow(RangeError);
    expect(() => decodePng(writePngKind(kind, 0, 2, () => 1))).toThrow(RangeError);
    expect(() => decodePng(png.subarray(0, 20))).toThrow('no header');
    expect(() => decodePng(Uint8Array.of(1, 2, 3))).toThrow(TypeError);
  });

  it('reads an image whose other chunks are broken', () => {
    const broken = [writeChunk('iCCP', Uint8Array.of(1, 2, 3)), writeChunk('tEXt', new Uint8Array(100))];
    const { data } = decodePng(writePngKind(kind, 2, 1, () => 7, { before: broken }));
    expect([...data]).toEqual([7, 7, 7, 7, 7, 7]);
  });
});
