import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { chunkPlainText } from '#engine/text/chunk.ts';
import { loadClipTokenizer, OWN_TOKENIZER } from '../support/clip-tokenizer.ts';
import type { ParityCase } from './case.ts';

/** A prompt and the ids transformers gives it. */
interface TokenCase {
  prompt: string;
  raw: number[];
  padded77: number[];
}

/**
 * Compares the tokenizer with the cases of `tokens*.json` in a folder, both the ids of the whole text and the 77 a text
 * encoder is given. The error is the number of ids that differ.
 */
export async function* cases(folder: string): AsyncGenerator<ParityCase> {
  const tokenizer = loadClipTokenizer(tokenizerFolder(folder));
  for (const file of (await readdir(folder)).filter((name) => /^tokens.*\.json$/.test(name))) {
    const tokenCases = JSON.parse(await readFile(join(folder, file), 'utf8')) as TokenCase[];
    for (const { prompt, raw, padded77 } of tokenCases) {
      const { chunk } = chunkPlainText(prompt, tokenizer);
      const error =
        countDifferences(tokenizer.encode(prompt), raw) + countDifferences([...chunk.ids], padded77);
      yield { name: `tokens/${JSON.stringify(prompt.slice(0, 40))}`, error, tolerance: 0, supported: true };
    }
  }
}

/** Where the vocabulary of a folder of references is: its own, or that of test/fixtures. */
export function tokenizerFolder(folder: string): string {
  const theirs = join(folder, 'clip-tokenizer');
  return existsSync(theirs) ? theirs : OWN_TOKENIZER;
}

function countDifferences(actual: readonly number[], expected: readonly number[]): number {
  const longer = actual.length > expected.length ? actual : expected;
  return longer.filter((_, i) => actual[i] !== expected[i]).length;
}
