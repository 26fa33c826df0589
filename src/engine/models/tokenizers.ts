import { createClipTokenizer, type ClipTokenizer } from '#engine/tokenizers/clip.ts';
import type { ModelFamily } from '#protocol/model.ts';
import type { PackFiles } from './pack-files.ts';

/** What OpenCLIP's text encoders are padded with: id 0. Repositories of SD 2 disagree with themselves about it. */
const OPENCLIP_PADDING = '!';

/** A pipeline's tokenizer and the padding of each of its text encoders; words are the same for both of SDXL. */
export interface PipelineTokenizer {
  tokenizer: ClipTokenizer;
  /** Of the text encoders in order. */
  padIds: readonly [number, number];
}

/** @throws AppError `model_not_found`, `integrity_failed` */
export async function openTokenizer(files: PackFiles, family: ModelFamily): Promise<PipelineTokenizer> {
  const [vocabularyJson, mergesFile, config] = await Promise.all([
    files.readJson('tokenizer/vocab.json'),
    files.read('tokenizer/merges.txt'),
    files.findJson('tokenizer/tokenizer_config.json'),
  ]);
  const vocabulary = Object.fromEntries(
    Object.entries(vocabularyJson).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
  );
  const padToken = family === 'sd2' ? OPENCLIP_PADDING : tokenText(config?.['pad_token']);
  const tokenizer = createClipTokenizer(
    vocabulary,
    await mergesFile.text(),
    padToken === undefined ? {} : { padToken },
  );
  return { tokenizer, padIds: [tokenizer.padId, vocabulary[OPENCLIP_PADDING] ?? tokenizer.padId] };
}

/** A special token, which configurations write as a text or as an object around it. */
function tokenText(token: unknown): string | undefined {
  if (typeof token === 'string') return token;
  const content: unknown =
    typeof token === 'object' && token !== null && 'content' in token ? token.content : null;
  return typeof content === 'string' ? content : undefined;
}
