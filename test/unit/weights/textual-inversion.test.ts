import { expect, test } from 'vitest';
import { readTextualInversion } from '#weights/textual-inversion.ts';
import { tensorsOf } from './tensors.ts';

const vectors = (tokens: number, width: number) =>
  [[tokens, width], Array.from({ length: tokens * width }, (_, i) => i)] as const;

test("A1111's file for SD 1.x: two tokens", async () => {
  const { tokens, vectors: found } = await readTextualInversion(
    tensorsOf({ emb_params: vectors(2, 768) }),
    'cat',
  );
  expect(tokens).toBe(2);
  expect([...found.keys()]).toEqual(['text_encoder']);
  expect(found.get('text_encoder')?.values.slice(767, 770)).toEqual(Float32Array.of(767, 768, 769));
});

test("diffusers' file: a tensor of the word's name, one vector without a first dimension", async () => {
  const file = tensorsOf({ '<cat-toy>': [[1024], new Float32Array(1024).fill(0.5)] });
  const { tokens, vectors: found } = await readTextualInversion(file, 'cat');
  expect(tokens).toBe(1);
  expect(found.get('text_encoder')?.width).toBe(1024);
});

test('SDXL: one for each text encoder', async () => {
  const file = tensorsOf({ clip_l: vectors(3, 768), clip_g: vectors(3, 1280) });
  const { tokens, vectors: found } = await readTextualInversion(file, 'cat');
  expect(tokens).toBe(3);
  expect([...found].map(([component, { width }]) => [component, width])).toEqual([
    ['text_encoder', 768],
    ['text_encoder_2', 1280],
  ]);
});

test.each([
  ['a matrix of another width', { emb_params: vectors(1, 100) }],
  ['another file', { 'a.weight': vectors(1, 768), 'b.weight': vectors(1, 768) }],
  ['different numbers of tokens', { clip_l: vectors(3, 768), clip_g: vectors(2, 1280) }],
  ['no tokens', { emb_params: vectors(0, 768) }],
])('%s is refused', async (_, tensors) => {
  await expect(readTextualInversion(tensorsOf(tensors), 'cat')).rejects.toMatchObject({
    code: 'invalid_request',
  });
});
