import { styles as fooocusStyles } from '#codecs/prompt/styles/index.ts';

/** A style as `GET /prompt-styles` lists it. */
export interface PromptStyle {
  name: string;
  prompt: string;
  negative_prompt: string;
}

/** Fooocus's styles by their names: they have A1111's form. */
export const PROMPT_STYLES: readonly PromptStyle[] = [...fooocusStyles].map(
  ([name, { prompt, negative }]) => ({
    name,
    prompt,
    negative_prompt: negative,
  }),
);

/** The styles of these names; names of none are left out. */
export function findStyles(names: readonly string[]): PromptStyle[] {
  return names.flatMap((name) => PROMPT_STYLES.find((style) => style.name === name) ?? []);
}

interface Prompts {
  prompt: string;
  negativePrompt: string;
}

/** Takes the styles that a prompt was written with out of it (A1111, modules/styles.py). */
export function extractStyles(prompts: Prompts): Prompts & { styles: string[] } {
  let { prompt, negativePrompt } = prompts;
  const found: string[] = [];
  for (;;) {
    const style = PROMPT_STYLES.find(
      (candidate) =>
        !found.includes(candidate.name) &&
        candidate.prompt + candidate.negative_prompt !== '' &&
        withoutStyle(candidate.prompt, prompt) !== null &&
        withoutStyle(candidate.negative_prompt, negativePrompt) !== null,
    );
    if (!style) return { prompt, negativePrompt, styles: found };
    prompt = withoutStyle(style.prompt, prompt) ?? prompt;
    negativePrompt = withoutStyle(style.negative_prompt, negativePrompt) ?? negativePrompt;
    found.push(style.name);
  }
}

/** The text without the style around or after it; null when it was not written with that style. */
function withoutStyle(style: string, text: string): string | null {
  const trimmed = text.trim();
  const [before = '', after] = style.trim().split('{prompt}');
  if (after === undefined)
    return trimmed.endsWith(before) ? trimmed.slice(0, -before.length || undefined).replace(/, $/, '') : null;
  const fits = trimmed.length >= before.length + after.length;
  return fits && trimmed.startsWith(before) && trimmed.endsWith(after)
    ? trimmed.slice(before.length, trimmed.length - after.length)
    : null;
}
