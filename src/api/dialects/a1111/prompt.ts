/**
 * A prompt without its comments: whatever follows a `#` up to the end of the line.
 * Source: A1111 modules/processing_scripts/comments.py.
 */
export function stripComments(prompt: string): string {
  return prompt.replace(/(^|\n)#[^\n]*(\n|$)/g, '\n').replace(/#[^\n]*(\n|$)/g, '\n');
}

/**
 * A prompt with styles applied in turn: put where a style says `{prompt}`, otherwise followed by the style's text.
 * Serves positive and negative prompts alike. Source: A1111 modules/styles.py, `apply_styles_to_prompt`.
 */
export function applyStyles(prompt: string, styles: readonly string[]): string {
  return styles.reduce(
    (text, style) =>
      style.includes('{prompt}')
        ? style.replaceAll('{prompt}', () => text)
        : [text.trim(), style.trim()].filter((part) => part !== '').join(', '),
    prompt,
  );
}
