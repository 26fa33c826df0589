import { encode } from 'fast-png';
import fc from 'fast-check';
import { deflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readImageText } from '#codecs/image-text.ts';
import { decodePng, encodePng } from '#codecs/png.ts';
import { readPngText, writePngText } from '#codecs/png-text.ts';

const pixels = { width: 2, height: 1, channels: 3, data: Uint8Array.of(1, 2, 3, 4, 5, 6) } as const;

function chunkTypes(png: Uint8Array): string[] {
  const view = new DataView(png.buffer, png.byteOffset);
  const types: string[] = [];
  for (let at = 8; at < png.length; at += 12 + view.getUint32(at)) {
    types.push(new TextDecoder().decode(png.subarray(at + 4, at + 8)));
  }
  return types;
}

describe('encodePng', () => {
  it('keeps pixels and any text, in any script', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', minLength: 1 }), async (text) => {
        const clean = text.toWellFormed();
        const png = encodePng(pixels, { parameters: clean });
        expect(decodePng(png)).toEqual({ ...pixels, data: Uint8Array.from(pixels.data) });
        expect(await readPngText(png)).toEqual({ parameters: clean });
      }),
    );
  });

  it('writes tEXt where Latin-1 is enough and iTXt where it is not', () => {
    expect(chunkTypes(encodePng(pixels, { a: 'süß', b: '苹果' })).slice(0, 3)).toEqual([
      'IHDR',
      'tEXt',
      'iTXt',
    ]);
  });

  it('gives the same bytes for the same pixels', () => {
    expect(encodePng(pixels, { a: 'b' })).toEqual(encodePng(pixels, { a: 'b' }));
  });
});

describe('decodePng', () => {
  it('spreads grey, drops the low byte of 16 bits and looks palettes up', () => {
    const grey = encode({ width: 2, height: 1, channels: 1, data: Uint8Array.of(7, 200) });
    expect([...decodePng(grey).data]).toEqual([7, 7, 7, 200, 200, 200]);
    const greyAlpha = encode({ width: 1, height: 1, channels: 2, data: Uint8Array.of(7, 9) });
    expect([...decodePng(greyAlpha).data]).toEqual([7, 7, 7, 9]);
    const deep = encode({
      width: 1,
      height: 1,
      channels: 3,
      depth: 16,
      data: Uint16Array.of(0x1234, 0xabcd, 0xff00),
    });
    expect([...decodePng(deep).data]).toEqual([0x12, 0xab, 0xff]);
  });
});

it('reads compressed text chunks', async () => {
  const png = encodePng(pixels);
  // A zTXt chunk's text is Latin-1.
  const latin = Buffer.concat([Buffer.from('note\0\0'), deflateSync(Buffer.from('grün', 'latin1'))]);
  const chunk = Buffer.alloc(latin.length + 12);
  chunk.writeUInt32BE(latin.length);
  chunk.write('zTXt', 4);
  latin.copy(chunk, 8);
  const whole = Buffer.concat([png.subarray(0, 33), chunk, png.subarray(33)]);
  expect(await readPngText(whole)).toEqual({ note: 'grün' });
});

it('refuses what is no image', async () => {
  await expect(readImageText(Uint8Array.of(1, 2, 3, 4))).rejects.toThrow(TypeError);
  expect(() => writePngText(Uint8Array.of(1), {})).toThrow(TypeError);
});
