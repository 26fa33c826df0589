import { describe, expect, it } from 'vitest';
import { decodeImage } from '#codecs/decode-image.ts';
import { writeChunk } from '#codecs/png-chunks.ts';
import { readImage } from '#engine/stages/pixels/read-image.ts';
import { AppError } from '#protocol/error.ts';
import { writePngKind } from '../../support/png-kinds.ts';

const GREY_1 = { bitDepth: 1, colourType: 0, interlace: 0 } as const;
const RGBA = { bitDepth: 8, colourType: 6, interlace: 1 } as const;

const fileOf = (bytes: Uint8Array<ArrayBuffer>) => new Blob([bytes]);

async function refusalOf(file: Blob): Promise<AppError> {
  const thrown = await readImage(file, 0).catch((error: unknown) => error);
  if (thrown instanceof AppError) return thrown;
  throw new Error('The image was read.');
}

describe('decodeImage', () => {
  it('gives RGBA, with the alpha that the file has', async () => {
    const line = await decodeImage(fileOf(writePngKind(GREY_1, 10, 1, (x) => x % 2)));
    expect([line.width, line.height]).toEqual([10, 1]);
    const pixels = Array.from({ length: 10 }, (_, x) =>
      x % 2 === 0 ? [0, 0, 0, 255] : [255, 255, 255, 255],
    );
    expect([...line.data]).toEqual(pixels.flat());
    const see = await decodeImage(fileOf(writePngKind(RGBA, 1, 1, (_x, _y, channel) => 10 * channel)));
    expect([...see.data]).toEqual([0, 10, 20, 30]);
  });
});

describe('readImage', () => {
  it('puts what is transparent over the background, and changes nothing else', async () => {
    const file = fileOf(
      writePngKind(RGBA, 3, 1, (x, _y, channel) => (channel === 3 ? [0, 51, 255][x] : 100) ?? 0),
    );
    const over = async (background: number) => [...(await readImage(file, background)).data];
    expect(await over(255)).toEqual([255, 255, 255, 224, 224, 224, 100, 100, 100]);
    expect(await over(0)).toEqual([0, 0, 0, 20, 20, 20, 100, 100, 100]);
  });

  it('puts transparent colours of a palette over the background', async () => {
    const before = [
      writeChunk('PLTE', Uint8Array.of(10, 20, 30, 40, 50, 60)),
      writeChunk('tRNS', Uint8Array.of(0)),
    ];
    const kind = { bitDepth: 2, colourType: 3, interlace: 0 } as const;
    const { data } = await readImage(fileOf(writePngKind(kind, 2, 1, (x) => x, { before })), 255);
    expect([...data]).toEqual([255, 255, 255, 40, 50, 60]);
  });

  const whole = writePngKind(RGBA, 16, 16, (x, y, channel) => (x * 16 + y + channel) % 256);
  const huge = Uint8Array.from(whole);
  new DataView(huge.buffer).setUint32(16, 100_000);
  new DataView(huge.buffer).setUint32(20, 100_000);

  it.each([
    ['nothing', new Uint8Array(), 'The file is empty.'],
    ['a file that is cut off', whole.slice(0, 300), 'The PNG file is truncated'],
    ['a header alone', whole.slice(0, 33), 'The PNG file is truncated'],
    ['a text', new TextEncoder().encode('no image'), 'Only PNG files'],
    ['a header that asks for 40 GB', huge, '100000 × 100000 pixels'],
  ])('says why it does not read %s', async (_name, bytes, reason) => {
    const { code, message } = await refusalOf(fileOf(bytes));
    expect(code).toBe('invalid_request');
    expect(message).toContain('The image cannot be read. ');
    expect(message).toContain(reason);
  });
});
