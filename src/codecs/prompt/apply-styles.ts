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
