import { expect, it } from 'vitest';
import { readImageInput } from '#api/image-input.ts';
import { toBase64 } from '#codecs/base64.ts';
import { readImageFacts } from '#codecs/image-size.ts';

const call = {
  ask: () => Promise.reject(new Error('Nothing is asked of a host here.')),
  url: (path: string) => `https://vitrine.test/${path}`,
  signal: new AbortController().signal,
};

async function encode(type: string, alpha: number): Promise<Uint8Array<ArrayBuffer>> {
  const canvas = new OffscreenCanvas(37, 5);
  const context = canvas.getContext('2d');
  if (!context) throw new Error('There is no canvas.');
  context.fillStyle = `rgb(200 30 60 / ${alpha})`;
  context.fillRect(0, 0, 37, 5);
  return new Uint8Array(await (await canvas.convertToBlob({ type, quality: 0.5 })).arrayBuffer());
}

it.each([
  ['image/png', 1],
  ['image/jpeg', 1],
  ['image/webp', 1],
  ['image/webp', 0.5],
])('reads %s, and refuses what is left of one', async (type, alpha) => {
  const file = await encode(type, alpha);
  expect(readImageFacts(file)).toEqual({ type, width: 37, height: 5 });
  const read = await readImageInput(call, toBase64(file));
  expect([read.type, new Uint8Array(await read.arrayBuffer())]).toEqual([type, file]);
  // Its header is whole, its pixels are not.
  const header = type === 'image/jpeg' ? file.lastIndexOf(0xda) : 40;
  await expect(readImageInput(call, toBase64(file.slice(0, header)))).rejects.toThrow(
    'The image is truncated or damaged.',
  );
});
