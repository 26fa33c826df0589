import { Tokenizer } from '@huggingface/tokenizers';
import type { PackFiles } from '#engine/models/pack-files.ts';
import { AppError } from '#protocol/error.ts';
import type { AddOnPack } from '#protocol/model.ts';

/**
 * The tokenizer of a repository of transformers: `tokenizer.json`, and `tokenizer_config.json` if it is there.
 * @throws AppError `integrity_failed` for a file that is no tokenizer, `model_not_found` where it is missing
 */
export async function readHubTokenizer(pack: AddOnPack, files: PackFiles): Promise<Tokenizer> {
  const tokenizer = await files.readJson('tokenizer.json');
  const config = (await files.findJson('tokenizer_config.json')) ?? {};
  try {
    return new Tokenizer(tokenizer, config);
  } catch (cause) {
    throw new AppError(
      'integrity_failed',
      `tokenizer.json of ${pack.title} is not a tokenizer. Install it again, or another one.`,
      { detail: { model: pack.id, file: 'tokenizer.json' }, cause },
    );
  }
}

/** What tokens say, without those that only begin or end a text. */
export function decodeTokens(tokenizer: Tokenizer, ids: readonly number[]): string {
  // The library refuses to decode nothing.
  return ids.length === 0 ? '' : tokenizer.decode([...ids], { skip_special_tokens: true });
}
