import { describe, expect, it } from 'vitest';
import { readExif, writeExif } from '#codecs/exif.ts';
import { readImageText } from '#codecs/image-text.ts';

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
    expect(await readImageText(written)).toEqual({ parameters: exif.userComment });
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

it('reads a comment in the order of a little-endian file', () => {
  const tiff = Buffer.alloc(64);
  tiff.write('II*\0', 0, 'latin1');
  tiff.writeUInt32LE(8, 4);
  tiff.writeUInt16LE(1, 8);
  tiff.writeUInt16LE(0x9286, 10);
  tiff.writeUInt16LE(7, 12);
  tiff.writeUInt32LE(12, 14);
  tiff.writeUInt32LE(26, 18);
  tiff.write('UNICODE\0', 26, 'latin1');
  tiff.write('ab', 34, 'utf16le');
  const segment = Buffer.concat([Buffer.from([0xff, 0xe1, 0, 2 + 6 + 64]), Buffer.from('Exif\0\0'), tiff]);
  const file = Buffer.concat([JPEG.subarray(0, 2), segment, JPEG.subarray(2)]);
  expect(readExif(file)).toEqual({ userComment: 'ab' });
});
