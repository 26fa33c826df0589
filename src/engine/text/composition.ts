import { AND_PATTERN, PART_WEIGHT_PATTERN } from './words.ts';

/** One condition of a composed prompt. */
export interface PromptPart {
  text: string;
  weight: number;
}

/**
 * The conditions of `text1 :w1 AND text2 :w2`; their guidance adds up, weighted. A prompt without `AND` is one part, and
 * its trailing `:weight` counts too, as in A1111 modules/prompt_parser.py, `get_multicond_prompt_list`.
 */
export function splitComposition(prompt: string): PromptPart[] {
  return prompt.split(AND_PATTERN).map((part) => {
    const match = PART_WEIGHT_PATTERN.exec(part);
    return { text: part.slice(0, match?.index), weight: Number(match?.[1] ?? 1) };
  });
}
