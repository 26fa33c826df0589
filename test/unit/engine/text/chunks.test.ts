import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAttention } from '#engine/text/attention.ts';
import type { PromptChunk } from '#engine/text/chunk.ts';
import { chunkPrompt } from '#engine/text/chunks.ts';
import { createEmbeddingFinder, type Embedding } from '#engine/text/embeddings.ts';
import { loadClipTokenizer } from '../../../support/clip-tokenizer.ts';
import { readFixture } from '../../../support/fixtures.ts';

interface ChunkCase {
  text: string;
  commaBacktrack: number;
  chunks: { ids: number[]; weights: number[] }[];
}

const tokenizer = loadClipTokenizer();

function embedding(name: string, count: number): [string, Embedding] {
  return [name, { name, key: name, count, vectors: [new Float32Array(count * 4)] }];
}

const embeddings = new Map([embedding('bad-hands', 3), embedding('bad', 1), embedding('EasyNeg', 40)]);
const findEmbedding = createEmbeddingFinder(embeddings, tokenizer);

function chunk(text: string, commaBacktrack = 20): PromptChunk[] {
  return chunkPrompt(parseAttention(text), tokenizer, findEmbedding, commaBacktrack);
}

/** Tokens of text in a chunk. */
function contentLength({ ids }: PromptChunk): number {
  return ids.indexOf(tokenizer.endId) - 1;
}

describe('chunkPrompt', () => {
  it.each(readFixture('prompts/a1111-chunks.json') as ChunkCase[])(
    'as A1111, backtracking $commaBacktrack: $text',
    ({ text, commaBacktrack, chunks }) => {
      const actual = chunk(text, commaBacktrack);
      expect(actual.map(({ ids }) => [...ids])).toEqual(chunks.map(({ ids }) => ids));
      for (const [i, { weights }] of chunks.entries()) {
        for (const [j, weight] of weights.entries()) expect(actual[i]?.weights[j]).toBeCloseTo(weight, 5);
      }
    },
  );

  it('makes one chunk of nothing', () => {
    const chunks = chunk('');
    expect(chunks).toHaveLength(1);
    expect([...(chunks[0]?.ids ?? [])]).toEqual([49406, ...new Array<number>(76).fill(49407)]);
  });

  it('moves what follows the last comma rather than cutting it', () => {
    const text = `${'word '.repeat(69)}, red blue green gold silver black`;
    expect(chunk(text).map(contentLength)).toEqual([70, 6]);
    expect(chunk(text, 0).map(contentLength)).toEqual([75, 1]);
    expect(chunk(text, 4).map(contentLength)).toEqual([75, 1]);
  });

  it('closes a chunk at BREAK', () => {
    expect(chunk('cat BREAK dog bird').map(contentLength)).toEqual([1, 2]);
    expect(chunk('BREAK').map(contentLength)).toEqual([0]);
  });

  it('puts embeddings where their names stand, the longest name first', () => {
    const [first] = chunk('a (bad-hands:1.5), bad');
    expect(first?.embeddings.map(({ offset, embedding }) => [offset, embedding.name])).toEqual([
      [2, 'bad-hands'],
      [6, 'bad'],
    ]);
    expect([...(first?.weights.slice(1, 7) ?? [])]).toEqual([1, 1.5, 1.5, 1.5, 1, 1]);
  });

  it('never cuts an embedding', () => {
    const [first, second] = chunk(`${'word '.repeat(50)}EasyNeg`);
    expect(first && contentLength(first)).toBe(50);
    expect(second?.embeddings.map(({ offset }) => offset)).toEqual([1]);
  });

  it('takes embeddings along that follow the comma', () => {
    const [first, second] = chunk(`${'word '.repeat(69)}, bad-hands red blue green`);
    expect(first && contentLength(first)).toBe(70);
    expect(first?.embeddings).toEqual([]);
    expect(second?.embeddings.map(({ offset, embedding }) => [offset, embedding.name])).toEqual([
      [1, 'bad-hands'],
    ]);
  });

  it('frames and fills every chunk, whatever the text', () => {
    const words = fc.constantFrom(
      'cat',
      ',',
      'BREAK',
      '(bird',
      ')',
      'bad',
      'EasyNeg',
      'landscape',
      '[sky]',
      '😀',
    );
    fc.assert(
      fc.property(fc.array(words, { maxLength: 300 }), fc.nat({ max: 75 }), (parts, commaBacktrack) => {
        for (const { ids, weights } of chunk(parts.join(' '), commaBacktrack)) {
          expect(ids).toHaveLength(77);
          expect(weights).toHaveLength(77);
          expect(ids[0]).toBe(tokenizer.startId);
          expect(ids[76]).toBe(tokenizer.endId);
        }
      }),
    );
  });

  it('keeps all tokens in their order', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('cat', 'dog', ',', 'river'), { maxLength: 300 }), (parts) => {
        const text = parts.join(' ');
        const kept = chunk(text).flatMap((each) => [...each.ids.slice(1, 1 + contentLength(each))]);
        expect(kept).toEqual(tokenizer.encode(text));
      }),
    );
  });
});
