import type { ModelId } from './model.ts';

/** Words that an installed text generator adds to a prompt before it is used. */
export interface PromptExpansion {
  /** The id of a prompt expansion model. */
  model: ModelId;
  /** What it goes on with. */
  text: string;
  /** 0 … 2^32 − 1: the same for the same words. */
  seed: number;
  /**
   * `more`: text and new words are one more text of the prompt, behind the others and without a say in its pooled output, as in
   * Fooocus. `instead`: they take the place of its first text.
   */
  as: 'more' | 'instead';
}

/** Stands for the expanded text in the texts of image files; between double quotes for its JSON. */
export const EXPANSION_MARK = '{prompt expansion}';

/** An expansion whose seed may be an image's. */
export function expansionOf(
  model: ModelId,
  text: string,
  seed: bigint,
  as: PromptExpansion['as'],
): PromptExpansion {
  return { model, text, seed: Number(BigInt.asUintN(32, seed)), as };
}
