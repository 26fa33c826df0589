import { readFileSync } from 'node:fs';
import { createClipTokenizer, type ClipTokenizer } from '#engine/tokenizers/clip.ts';

/** The tokenizer of test/fixtures/clip-tokenizer. */
export function loadClipTokenizer(): ClipTokenizer {
  const read = (file: string) =>
    readFileSync(new URL(`../fixtures/clip-tokenizer/${file}`, import.meta.url), 'utf8');
  return createClipTokenizer(JSON.parse(read('vocab.json')) as Record<string, number>, read('merges.txt'));
}
