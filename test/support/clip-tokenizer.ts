import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createClipTokenizer, type ClipTokenizer } from '#engine/tokenizers/clip.ts';

export const OWN_TOKENIZER = path.resolve(import.meta.dirname, '../fixtures/clip-tokenizer');

/** The tokenizer of a folder with `vocab.json` and `merges.txt`, by default that of test/fixtures. */
export function loadClipTokenizer(folder = OWN_TOKENIZER): ClipTokenizer {
  const read = (file: string) => readFileSync(path.join(folder, file), 'utf8');
  const vocabulary = JSON.parse(read('vocab.json')) as Record<string, number>;
  return createClipTokenizer(new Map(Object.entries(vocabulary)), read('merges.txt'));
}
