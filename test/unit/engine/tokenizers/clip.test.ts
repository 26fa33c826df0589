import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clipVocabulary, createClipTokenizer } from '#engine/tokenizers/clip.ts';
import { loadClipTokenizer } from '../../../support/clip-tokenizer.ts';

interface TokenCase {
  prompt: string;
  raw: number[];
}

const tokenizer = loadClipTokenizer();
const goldens = ['tokens.json', 'tokens.unicode.json'].flatMap(
  (file) =>
    JSON.parse(readFileSync(new URL(`../../../fixtures/${file}`, import.meta.url), 'utf8')) as TokenCase[],
);

describe('ids of transformers', () => {
  it.each(goldens)('$prompt', ({ prompt, raw }) => {
    expect(tokenizer.encode(prompt)).toEqual(raw);
  });

  // Ids of transformers 5.18 CLIPTokenizer for what JavaScript and Python read differently.
  it.each([
    ['ΟΔΟΣ', [138, 123, 138, 112, 138, 123, 139, 481]],
    ['a\u0085b', [320, 321]],
    ['a\ufeffb', [320, 171, 119, 379, 321]],
    ['<|STARTOFTEXT|>\u00ad', [27, 347, 993, 6659, 4160, 91, 285, 22618]],
    ['x <|endoftext|> y', [343, 49407, 344]],
    ["IT'S 42", [585, 568, 275, 273]],
  ])('%j', (text, ids) => {
    expect(tokenizer.encode(text)).toEqual(ids);
  });
});

describe('createClipTokenizer', () => {
  it('knows the special tokens', () => {
    expect(tokenizer).toMatchObject({ startId: 49406, endId: 49407, padId: 49407, commaId: 267 });
  });

  it('gives the text back', () => {
    expect(tokenizer.decode(tokenizer.encode('A photo of CATS!'))).toBe('a photo of cats !');
    expect(tokenizer.decode([])).toBe('');
  });

  it('gives special tokens back, as written ones', () => {
    const text = 'a < / w > b <|endoftext|> é 日本';
    expect(tokenizer.decode(tokenizer.encode(text))).toBe('a < / w > b <|endoftext|> é 日本');
  });

  it('reads a long word without blanks, as a Chinese text is', () => {
    const text = '红色苹果在桌子上'.repeat(400);
    const ids = tokenizer.encode(text);
    expect(tokenizer.decode(ids)).toBe(text);
  });

  it('takes any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(tokenizer.encode(text).every((id) => id >= 0 && id <= 49407)).toBe(true);
      }),
    );
  });

  it('refuses another vocabulary', () => {
    expect(() => createClipTokenizer(new Map([['hello', 0]]), '')).toThrow(
      /not the vocabulary of a CLIP tokenizer/,
    );
  });
});

it('the vocabulary that follows from the merges is the one that is published beside them', () => {
  const read = (file: string) =>
    readFileSync(new URL(`../../../fixtures/clip-tokenizer/${file}`, import.meta.url), 'utf8');
  expect(Object.fromEntries(clipVocabulary(read('merges.txt')))).toEqual(JSON.parse(read('vocab.json')));
});
