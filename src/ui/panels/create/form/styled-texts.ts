import { applyStyles } from '#codecs/prompt/apply-styles.ts';
import type { StyleText } from '#codecs/prompt/styles/index.ts';
import type { PromptTexts } from '#protocol/engine-host.ts';
import type { GenerateForm } from './generate-form.svelte.ts';

export type KnownStyles = ReadonlyMap<string, StyleText>;

/** Before they are fetched. */
export const NO_STYLES: KnownStyles = new Map();

/** Fetches the styles, which are a file of their own: most people start without. */
export async function loadStyles(): Promise<KnownStyles> {
  return (await import('#codecs/prompt/styles/index.ts')).styles;
}

/** As {@link loadStyles}, where a form has any. */
export function loadStylesFor({ styles }: Pick<GenerateForm, 'styles'>): Promise<KnownStyles> {
  return styles.length > 0 ? loadStyles() : Promise.resolve(NO_STYLES);
}

/** What is generated: the prompts of a form with its styles applied, as A1111 applies them. */
export function styledTexts(
  form: Pick<GenerateForm, 'prompt' | 'negativePrompt' | 'styles'>,
  known: KnownStyles,
): PromptTexts {
  const styles = form.styles.flatMap((name) => known.get(name) ?? []);
  return {
    prompt: applyStyles(
      form.prompt.trim(),
      styles.map(({ prompt }) => prompt),
    ),
    negativePrompt: applyStyles(
      form.negativePrompt.trim(),
      styles.map(({ negative }) => negative),
    ),
  };
}
