import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { createTokenCounter } from '#engine/stages/prompts/count-tokens.ts';
import { packs } from '#library/packs/index.ts';
import { EMOJI_MINI } from '../../../support/node-engine.ts';
import { pseudoRandom, tensorsOf } from '../../../support/random-weights.ts';
import { addOnPack, fileOf } from '../../../support/tiny-packs.ts';

const model = packs['emoji-mini'];
const merges = new Blob([readFileSync(path.join(EMOJI_MINI, 'tokenizer/merges.txt'))]);
const word = tensorsOf({ emb_params: { shape: [3, 256], data: pseudoRandom(3 * 256) } });
const embedding = await addOnPack('embedding', 'my-word', await fileOf(word), { family: 'emoji-mini' });
const count = createTokenCounter((pack) => (file) => {
  if (pack === embedding.pack) return Promise.resolve(embedding.files[file]);
  return Promise.resolve(file === 'tokenizer/merges.txt' ? merges : undefined);
});
const countPrompt = async (prompt: string) =>
  (await count(model, [model, embedding.pack], { prompt, negativePrompt: '' })).prompt;

test.each([
  ['', 0, 75],
  ['a photo of an astronaut riding a horse on mars', 10, 75],
  // Weights and tags are not text.
  ['a (red:1.3) [apple] <lora:ink:0.8>', 3, 75],
  // The longest of what takes turns, and of what is composed.
  ['a [red:big green:0.5] apple', 4, 75],
  ['a cat AND a big dog', 3, 75],
  // Its three vectors, not the tokens of its name.
  ['apple my-word', 4, 75],
  [Array(75).fill('red').join(' '), 75, 75],
  [Array(76).fill('red').join(' '), 76, 150],
  // A chunk that is closed counts in full.
  ['red BREAK blue', 76, 150],
])('%s: %i of %i tokens', async (prompt, tokens, length) => {
  expect(await countPrompt(prompt)).toEqual({ tokens, length });
});

test('the negative prompt is counted too', async () => {
  const counts = await count(model, [model], { prompt: 'a', negativePrompt: 'blurry, text' });
  expect(counts.negativePrompt).toEqual({ tokens: 3, length: 75 });
});

test('a model without a tokenizer says what to do', async () => {
  const without = createTokenCounter(() => () => Promise.resolve(undefined));
  await expect(without(model, [model], { prompt: 'a', negativePrompt: '' })).rejects.toThrow(
    /Install it again/,
  );
});
