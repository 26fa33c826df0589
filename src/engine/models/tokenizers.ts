import { clipVocabulary, createClipTokenizer, type ClipTokenizer } from '#engine/tokenizers/clip.ts';
import { families } from '#protocol/families.ts';
import type { ModelFamily } from '#protocol/model.ts';
import type { PackFiles } from './pack-files.ts';

/** A pipeline's tokenizer and the padding of each of its text encoders; words are the same for both of SDXL. */
export interface PipelineTokenizer {
  tokenizer: ClipTokenizer;
  /** Of the text encoders in order. */
  padIds: readonly number[];
}

/**
 * Opens the tokenizer of a pack: `tokenizer/merges.txt`, and `tokenizer/vocab.json` where the pack has one.
 * @throws AppError `model_not_found`, `integrity_failed`
 */
export async function openTokenizer(files: PackFiles, family: ModelFamily): Promise<PipelineTokenizer> {
  const merges = await (await files.read('tokenizer/merges.txt')).text();
  const stored = await files.findJson('tokenizer/vocab.json');
  const vocabulary = stored
    ? Object.fromEntries(
        Object.entries(stored).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
      )
    : clipVocabulary(merges);
  const { textEncoders } = families[family];
  const [padToken] = textEncoders.map(({ padding }) => padding);
  const tokenizer = createClipTokenizer(vocabulary, merges, padToken === undefined ? {} : { padToken });
  return {
    tokenizer,
    padIds: textEncoders.map(({ padding }) => vocabulary[padding] ?? tokenizer.padId),
  };
}
