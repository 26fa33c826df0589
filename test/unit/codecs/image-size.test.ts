import { describe, expect, it } from 'vitest';
import { fromBase64 } from '#codecs/base64.ts';
import { readImageFacts } from '#codecs/image-size.ts';
import { encodePng } from '#codecs/png.ts';

/** The smallest files of one pixel that pass for whole. JPEG and larger ones: see the browser's test of input images. */
const ONE_PIXEL = [
  ['image/gif', 'R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7'],
  ['image/webp', 'UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA'],
  ['image/webp', 'UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA=='],
  [
    'image/webp',
    'UklGRkoAAABXRUJQVlA4WAoAAAAQAAAAAAAAAAAAQUxQSAwAAAARBxAR/Q9ERP8DAABWUDggGAAAABQBAJ0BKgEAAQAAAP4AAA3AAP7mtQAAAA==',
  ],
] as const;

describe('readImageFacts', () => {
  it.each(ONE_PIXEL)('reads %s', (type, base64) => {
    expect(readImageFacts(fromBase64(base64))).toEqual({ type, width: 1, height: 1 });
  });

  it('reads PNG', () => {
    const png = encodePng({ width: 7, height: 3, channels: 3, data: new Uint8Array(7 * 3 * 3) });
    expect(readImageFacts(png)).toEqual({ type: 'image/png', width: 7, height: 3 });
  });

  it('reads the frame of a JPEG file behind its tables', () => {
    const segments = [
      [0xff, 0xe0, 0, 4, 1, 2],
      [0xff, 0xc4, 0, 7, 0, 0, 9, 0, 9],
      [0xff, 0xc2, 0, 11, 8, 0x01, 0x02, 0x03, 0x04, 1, 0x11, 0],
    ];
    const file = Uint8Array.from([0xff, 0xd8, ...segments.flat(), 0xff, 0xda, 0, 2]);
    expect(readImageFacts(file)).toEqual({ type: 'image/jpeg', width: 0x304, height: 0x102 });
  });

  it.each(ONE_PIXEL.map(([type, base64]) => [type, fromBase64(base64)] as const))(
    'says that %s is cut off before its size',
    (type, file) => {
      expect(() => readImageFacts(file.slice(0, type === 'image/gif' ? 9 : 15))).toThrow(RangeError);
    },
  );

  it('refuses what is no image', () => {
    const file = new TextEncoder().encode('<!doctype html><title>Log in</title>');
    expect(() => readImageFacts(file)).toThrow(TypeError);
  });
});
