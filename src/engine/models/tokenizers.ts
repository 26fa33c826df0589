import {
  clipVocabulary,
  createClipTokenizer,
  type ClipTokenizer,
  type Vocabulary,
} from '#engine/tokenizers/clip.ts';
import { families } from '#protocol/families.ts';
import type { ConfigFile, ModelFamily } from '#protocol/model.ts';
import type { PackFiles } from './pack-files.ts';

/** A pipeline's tokenizer and the padding of each of its text encoders; words are the same for both of SDXL. */
export interface PipelineTokenizer {
  tokenizer: ClipTokenizer;
  /** Of the text encoders in order. */
  padIds: readonly number[];
}

/**
 * Opens the tokenizer of a pack: `tokenizer/merges.txt`, and `tokenizer/vocab.json` where the pack has one. What the last text
 * encoder's input is padded with a pack may say itself, in `tokenizer_2/tokenizer_config.json`.
 * @throws AppError `model_not_found`, `integrity_failed`
 */
export async function openTokenizer(files: PackFiles, family: ModelFamily): Promise<PipelineTokenizer> {
  const merges = await (await files.read('tokenizer/merges.txt')).text();
  const stored = await files.findJson('tokenizer/vocab.json');
  const paddings = families[family].textEncoders.map(({ padding }) => padding);
  const last = padTokenOf(await files.findJson('tokenizer_2/tokenizer_config.json'));
  if (last !== undefined) paddings.splice(-1, 1, last);
  const [padToken] = paddings;
  const { tokenizer, vocabulary } = stored
    ? build(merges, padToken, numbersOf(stored))
    : buildOnce(merges, padToken);
  return {
    tokenizer,
    padIds: paddings.map((padding) => vocabulary.get(padding) ?? tokenizer.padId),
  };
}

interface Built {
  tokenizer: ClipTokenizer;
  vocabulary: Vocabulary;
}

function build(merges: string, padToken: string | undefined, vocabulary: Vocabulary): Built {
  const options = padToken === undefined ? {} : { padToken };
  return { vocabulary, tokenizer: createClipTokenizer(vocabulary, merges, options) };
}

/** The last one whose vocabulary follows from its merges, and what it was built from. */
let last: { merges: string; padToken: string | undefined; built: Built } | null = null;

/** Most models have the same words, which are counted while they are typed as well. */
function buildOnce(merges: string, padToken: string | undefined): Built {
  if (last?.merges !== merges || last.padToken !== padToken)
    last = { merges, padToken, built: build(merges, padToken, clipVocabulary(merges)) };
  return last.built;
}

/** The entries of a `vocab.json` that are token ids. */
function numbersOf(stored: ConfigFile): Vocabulary {
  return new Map(
    Object.entries(stored).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
  );
}

/** The token in a `tokenizer_config.json`: a text, or an object around it. */
function padTokenOf(config: ConfigFile | undefined): string | undefined {
  const token = config?.['pad_token'];
  const text: unknown =
    typeof token === 'object' && token !== null && 'content' in token ? token.content : token;
  return typeof text === 'string' ? text : undefined;
}
