import { readFileSync } from 'node:fs';
import { createClipTokenizer, type ClipTokenizer } from '#engine/tokenizers/clip.ts';

/** The tokenizer of test/fixtures/clip-tokenizer. */
export function loadClipTokenizer(): ClipTokenizer {
  const read = (file: string) =>
    readFileSync(new URL(`../fixtures/clip-tokenizer/${file}`, import.meta.url), 'utf8');
  const vocabulary = JSON.parse(read('vocab.json')) as Record<string, number>;
  return createClipTokenizer(new Map(Object.entries(vocabulary)), read('merges.txt'));
}
