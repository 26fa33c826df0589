import { fromBase64 } from '#codecs/base64.ts';
import { decodeImage } from '#codecs/decode-image.ts';
import { readImageFacts } from '#codecs/image-size.ts';
import { readImageText } from '#codecs/image-text.ts';
import { toHordeSource, writeHordeImage } from '#host/backends/horde/image-files.ts';
import { describe, expect, it } from 'vitest';

type Colour = readonly [number, number, number];
const RED: Colour = [255, 0, 0];
const BLUE: Colour = [0, 0, 255];

/** Left half red, right half blue. */
async function twoColours(width: number, height: number, type = 'image/png'): Promise<Blob> {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  if (!context) throw new Error('no context');
  context.fillStyle = 'rgb(255 0 0)';
  context.fillRect(0, 0, width / 2, height);
  context.fillStyle = 'rgb(0 0 255)';
  context.fillRect(width / 2, 0, width / 2, height);
  return canvas.convertToBlob({ type, quality: 1 });
}

async function colourAt(file: Blob, x: number, y: number): Promise<number[]> {
  const { width, data } = await decodeImage(file);
  return [...data.subarray((y * width + x) * 4, (y * width + x) * 4 + 3)];
}

describe('an image that is sent to the AI Horde', () => {
  const size = { width: 64, height: 64 };
  const sent = async (...values: Parameters<typeof toHordeSource>) =>
    new Blob([fromBase64(await toHordeSource(...values))], { type: 'image/png' });

  it('is unchanged when it has the size', async () => {
    const file = await twoColours(64, 64, 'image/webp');
    expect(await (await sent({ file, fit: 'crop' }, size)).arrayBuffer()).toEqual(await file.arrayBuffer());
  });

  it.each(['stretch', 'crop', 'fill', 'latent', 'cover', 'contain'] as const)(
    'has the size of the request: %s',
    async (fit) => {
      const image = await sent({ file: await twoColours(128, 64), fit }, size);
      expect(readImageFacts(new Uint8Array(await image.arrayBuffer()))).toEqual({
        type: 'image/png',
        ...size,
      });
      expect(await colourAt(image, 2, 32)).toEqual(RED);
      expect(await colourAt(image, 61, 32)).toEqual(BLUE);
      // Within it there are white borders above and below; A1111's fill stretches the image over them.
      expect(await colourAt(image, 2, 2)).toEqual(fit === 'contain' ? [255, 255, 255] : RED);
    },
  );

  it('changes white and black of a mask', async () => {
    const image = await sent({ file: await twoColours(64, 64), fit: 'stretch', invert: true }, size);
    expect(await colourAt(image, 2, 2)).toEqual([0, 255, 255]);
  });

  it('says when a file is no image', async () => {
    await expect(sent({ file: new Blob(['text']), fit: 'crop' }, size)).rejects.toThrow(
      /not a PNG, JPEG or WebP/,
    );
  });
});

describe('a WebP image of the AI Horde', () => {
  it.each(['png', 'jpeg', 'webp'] as const)('becomes a %s file with its infotext', async (format) => {
    const webp = await twoColours(64, 32, 'image/webp');
    const written = await writeHordeImage(
      webp,
      { format, quality: 1 },
      { parameters: 'a red apple\nSteps: 4' },
    );
    expect(written).toMatchObject({ width: 64, height: 32 });
    const bytes = new Uint8Array(await written.file.arrayBuffer());
    expect(readImageFacts(bytes)).toEqual({ type: `image/${format}`, width: 64, height: 32 });
    expect((await readImageText(bytes))['parameters']).toBe('a red apple\nSteps: 4');
    const [red = 0, , blue = 0] = await colourAt(written.file, 4, 16);
    expect(red).toBeGreaterThan(230);
    expect(blue).toBeLessThan(40);
  });

  it('keeps its pixels exactly where a PNG is asked for', async () => {
    const webp = await twoColours(64, 32, 'image/webp');
    const { file } = await writeHordeImage(webp, { format: 'png', quality: 1 }, {});
    expect((await decodeImage(file)).data).toEqual((await decodeImage(webp)).data);
  });

  it('is refused when it is none', async () => {
    await expect(writeHordeImage(new Blob(['<html>']), { format: 'png', quality: 1 }, {})).rejects.toThrow(
      /no image/,
    );
  });
});
