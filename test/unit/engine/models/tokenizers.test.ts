import { expect, it } from 'vitest';
import { openPackFiles, type ReadFile } from '#engine/models/pack-files.ts';
import { openTokenizer } from '#engine/models/tokenizers.ts';
import { packs } from '#library/packs/index.ts';
import { EMOJI_MINI, readFrom } from '../../../support/node-engine.ts';

const pack = packs['emoji-mini'];
const read = readFrom(EMOJI_MINI);
const open = (readFile: ReadFile, family = pack.family) =>
  openTokenizer(openPackFiles(pack, readFile), family);

it('builds the tokenizer of the same words once', async () => {
  const [first, second] = await Promise.all([open(read), open(read)]);
  expect(second.tokenizer).toBe(first.tokenizer);
  expect(first.tokenizer.encode('a red apple')).toEqual([320, 736, 3055]);
  expect(first.padIds).toEqual([first.tokenizer.padId]);
});

it('builds another for other words, and for a vocabulary that a pack brings along', async () => {
  const first = await open(read);
  const withFile =
    (path: string, text: string): ReadFile =>
    (asked) =>
      asked === path ? Promise.resolve(new Blob([text])) : read(asked);

  const merges = `#version: 0.2\na p\nap p</w>\n, </w>`;
  const vocabulary = { '<|startoftext|>': 0, '<|endoftext|>': 1, ',</w>': 2, 'a</w>': 3, note: 'no number' };
  const own = await open(withFile('tokenizer/vocab.json', JSON.stringify(vocabulary)));
  expect(own.tokenizer).not.toBe(first.tokenizer);
  expect(own.tokenizer.encode('a')).toEqual([3]);

  const few = await open(withFile('tokenizer/merges.txt', merges));
  expect(few.tokenizer.encode('app')).toHaveLength(1);
  expect((await open(read)).tokenizer.encode('app')).toEqual(first.tokenizer.encode('app'));
});
