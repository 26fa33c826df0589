import { describe, expect, it } from 'vitest';
import { writeExif } from '#codecs/exif.ts';
import { readImageText } from '#codecs/image-text.ts';
import { encodePng } from '#codecs/png.ts';
import { writeChunk } from '#codecs/png-chunks.ts';
import { readExif } from '#codecs/read-exif.ts';

/** The smallest files with the structure in question; no decoder looks at their pixels here. */
const JPEG = Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xda, 0, 2, 9, 9, 0xff, 0xd9);
const WEBP = Uint8Array.from(
  Buffer.concat([
    Buffer.from('RIFF\x16\0\0\0WEBPVP8 \x0a\0\0\0', 'latin1'),
    // Frame tag, start code, 100 × 50 pixels.
    Buffer.from([0x30, 1, 0, 0x9d, 1, 0x2a, 100, 0, 50, 0]),
  ]),
);

const exif = {
  userComment: 'ein 苹果 auf einem Tisch\nSteps: 20, Sampler: Euler',
  makerNote: 'fooocus',
  software: 'Fooocus v2.5.3',
};

describe.each([
  ['JPEG', JPEG],
  ['WebP', WEBP],
])('%s', (_name, file) => {
  it('carries texts of any script', async () => {
    const written = writeExif(file, exif);
    expect(readExif(written)).toEqual(exif);
    expect(await readImageText(written)).toEqual({
      'exif comment': exif.userComment,
      parameters: exif.userComment,
    });
    expect(readExif(writeExif(file, { makerNote: 'a1' }))).toEqual({ makerNote: 'a1' });
  });

  it('has none to begin with', () => {
    expect(readExif(file)).toEqual({});
  });
});

it('turns a simple WebP file into an extended one of the same size', () => {
  const written = writeExif(WEBP, exif);
  const view = new DataView(written.buffer);
  expect(new TextDecoder().decode(written.subarray(12, 16))).toBe('VP8X');
  expect(view.getUint32(4, true)).toBe(written.length - 8);
  expect(view.getUint8(20)).toBe(0x08);
  expect([view.getUint16(24, true) + 1, view.getUint16(27, true) + 1]).toEqual([100, 50]);
  expect(readExif(writeExif(written, { userComment: 'new' }))).toEqual({ userComment: 'new' });
});

it('keeps the image of a JPEG file as it is', () => {
  const written = writeExif(JPEG, exif);
  expect([...written.subarray(written.length - (JPEG.length - 2))]).toEqual([...JPEG.subarray(2)]);
  expect(() => writeExif(JPEG, { userComment: 'x'.repeat(40_000) })).toThrow(RangeError);
});

/** TIFF data with nothing but a UserComment, in the Exif directory as cameras have it, or in the first one. */
function tiffOf(order: 'II' | 'MM', comment: Buffer, place: 'exif' | 'first' = 'exif'): Buffer {
  const tiff = Buffer.alloc(44 + comment.length);
  const little = order === 'II';
  const write16 = (value: number, at: number) =>
    little ? tiff.writeUInt16LE(value, at) : tiff.writeUInt16BE(value, at);
  const write32 = (value: number, at: number) =>
    little ? tiff.writeUInt32LE(value, at) : tiff.writeUInt32BE(value, at);
  tiff.write(order, 0, 'latin1');
  write16(42, 2);
  write32(place === 'exif' ? 8 : 26, 4);
  const entry = (at: number, tag: number, type: number, count: number, value: number) => {
    write16(1, at);
    write16(tag, at + 2);
    write16(type, at + 4);
    write32(count, at + 6);
    write32(value, at + 10);
  };
  entry(8, 0x8769, 4, 1, 26);
  entry(26, 0x9286, 7, comment.length, 44);
  comment.copy(tiff, 44);
  return tiff;
}

const unicode = (text: string, order: 'le' | 'be') => {
  const body = Buffer.from(text, 'utf16le');
  return Buffer.concat([Buffer.from('UNICODE\0'), order === 'le' ? body : body.swap16()]);
};

const jpegWith = (tiff: Buffer) =>
  Buffer.concat([
    JPEG.subarray(0, 2),
    Buffer.from([0xff, 0xe1, (tiff.length + 8) >> 8, (tiff.length + 8) & 255]),
    Buffer.from('Exif\0\0'),
    tiff,
    JPEG.subarray(2),
  ]);

const PNG = encodePng(
  { width: 1, height: 1, channels: 3, data: Uint8Array.of(1, 2, 3) },
  { parameters: 'old' },
);
const END = 12;

/** The bytes with `chunk` in front of the pixels, or behind them. */
function pngWith(tiff: Uint8Array, place: 'before' | 'after'): Uint8Array {
  const at = place === 'before' ? 33 : PNG.length - END;
  return Buffer.concat([PNG.subarray(0, at), writeChunk('eXIf', tiff), PNG.subarray(at)]);
}

const infotext = '一只猫, cat\nSteps: 20, Sampler: Euler a, Seed: 1';

describe.each([
  ['UNICODE, big-endian', unicode(infotext, 'be'), infotext],
  ['UNICODE, little-endian', unicode(infotext, 'le'), infotext],
  ['UNICODE with a mark', unicode(`\ufeff一只猫`, 'le'), '一只猫'],
  ['ASCII', Buffer.from('ASCII\0\0\0a cat'), 'a cat'],
  ['no character code', Buffer.from('\0\0\0\0\0\0\0\0ein Kätzchen'), 'ein Kätzchen'],
  ['nothing in front', Buffer.from('ein schwarzes Kätzchen'), 'ein schwarzes Kätzchen'],
])('a user comment: %s', (_name, comment, text) => {
  it.each(['II', 'MM'] as const)('in a file of order %s', async (order) => {
    const tiff = tiffOf(order, comment);
    expect(readExif(jpegWith(tiff))).toEqual({ userComment: text });
    expect(readExif(jpegWith(tiffOf(order, comment, 'first')))).toEqual({ userComment: text });
    for (const place of ['before', 'after'] as const) {
      // The comment wins over the text chunk.
      expect(await readImageText(pngWith(tiff, place))).toEqual({ parameters: text, 'exif comment': text });
    }
    const kept = Buffer.concat([Buffer.from('Exif\0\0'), tiff]);
    expect(await readImageText(pngWith(kept, 'before'))).toMatchObject({ 'exif comment': text });
  });
});

it('reads the comment of a JPEG file that has no EXIF', async () => {
  const comment = Buffer.from('a cat\nSteps: 1, Sampler: Euler, Seed: 2');
  const segment = Buffer.concat([Buffer.from([0xff, 0xff, 0xfe, 0, comment.length + 2]), comment]);
  const file = Buffer.concat([JPEG.subarray(0, 2), segment, JPEG.subarray(2)]);
  expect(await readImageText(file)).toEqual({ parameters: comment.toString() });
});

it('takes broken EXIF for none, whatever was cut', async () => {
  const whole = tiffOf('MM', unicode(infotext, 'be'));
  for (let length = 0; length < whole.length; length++) {
    expect(readExif(jpegWith(whole.subarray(0, length)))).toEqual({});
    expect(await readImageText(pngWith(whole.subarray(0, length), 'before'))).toEqual({ parameters: 'old' });
  }
});
