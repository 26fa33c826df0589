import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Embedding } from '#engine/text/embeddings.ts';
import { chunkFooocusText, parseFooocusAttention } from '#engine/text/fooocus.ts';
import { loadClipTokenizer } from '../../../support/clip-tokenizer.ts';
import { readFixture } from '../../../support/fixtures.ts';

const tokenizer = loadClipTokenizer();

function embedding(name: string, count: number): [string, Embedding] {
  return [name, { name, key: name, count, vectors: [new Float32Array(count * 4)] }];
}

const embeddings = new Map([embedding('easy', 3), embedding('neg', 2)]);

describe('parseFooocusAttention', () => {
  it.each([
    ['a cat', [['a cat', 1]]],
    [
      'a (big) cat',
      [
        ['a ', 1],
        ['big', 1.1],
        [' cat', 1],
      ],
    ],
    [
      '((x:1.5) y)',
      [
        ['x', 1.5],
        [' y', 1.1],
      ],
    ],
    [
      '((x) y:2)',
      [
        ['x', 2.2],
        [' y', 2],
      ],
    ],
    ['\\(x\\)', [['(x)', 1]]],
    [
      '[x] (y',
      [
        ['[x] ', 1],
        ['(y', 1],
      ],
    ],
    ['', []],
  ])('%j', (text, pieces) => {
    expect(parseFooocusAttention(text).map((piece) => [piece.text, Number(piece.weight.toFixed(5))])).toEqual(
      pieces,
    );
  });

  it('reads any mixture of brackets', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('(', ')', '\\(', '\\)', ':', '1.5', 'a', ' ')), (parts) => {
        expect(parseFooocusAttention(parts.join('')).every(({ weight }) => Number.isFinite(weight))).toBe(
          true,
        );
      }),
    );
    expect(() => parseFooocusAttention('('.repeat(20000) + ')'.repeat(20000))).not.toThrow();
  });
});

describe('chunkFooocusText', () => {
  it.each(
    readFixture('prompts/fooocus-chunks.json') as {
      text: string;
      chunks: { ids: number[]; weights: number[] }[];
    }[],
  )('as Fooocus: $text', ({ text, chunks }) => {
    const actual = chunkFooocusText(text, tokenizer, embeddings).chunks;
    expect(actual.map(({ ids }) => [...ids])).toEqual(chunks.map(({ ids }) => ids));
    for (const [i, { weights }] of chunks.entries()) {
      for (const [j, weight] of weights.entries()) expect(actual[i]?.weights[j]).toBeCloseTo(weight, 5);
    }
  });

  it('places embeddings and names those it lacks', () => {
    const { chunks, unknown } = chunkFooocusText(
      'a (embedding:easy:1.2), embedding:nope, cat',
      tokenizer,
      embeddings,
    );
    expect(chunks[0]?.embeddings.map(({ offset, embedding }) => [offset, embedding.name])).toEqual([
      [2, 'easy'],
    ]);
    expect(unknown).toEqual(['nope']);
  });
});
