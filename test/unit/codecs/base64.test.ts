import fc from 'fast-check';
import { expect, it } from 'vitest';
import { blobToBase64, fromBase64, fromBase64OrDataUri, toBase64 } from '#codecs/base64.ts';

it('writes what Node writes and reads it back, across the borders of its chunks', () => {
  for (const length of [0, 1, 2, 3, 0x5fff, 0x6000, 0x6001, 200_000]) {
    const bytes = Uint8Array.from({ length }, (_, index) => (index * 31) & 255);
    const text = toBase64(bytes);
    expect(text).toBe(Buffer.from(bytes).toString('base64'));
    expect(Buffer.from(fromBase64(text)).equals(Buffer.from(bytes))).toBe(true);
  }
});

it('forgives line breaks, missing padding and the URL alphabet', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      const url = Buffer.from(bytes).toString('base64url');
      expect(fromBase64(url.replace(/(.{5})/g, '$1\n'))).toEqual(Uint8Array.from(bytes));
    }),
  );
  expect(() => fromBase64('§')).toThrow();
});

it('reads data URIs, and blobs', async () => {
  expect(fromBase64OrDataUri('data:image/png;base64,AQID')).toEqual(Uint8Array.of(1, 2, 3));
  expect(fromBase64OrDataUri('AQID')).toEqual(Uint8Array.of(1, 2, 3));
  expect(await blobToBase64(new Blob([Uint8Array.of(1, 2, 3)]))).toBe('AQID');
});
