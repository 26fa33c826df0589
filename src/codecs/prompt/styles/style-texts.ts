/** A style's prompt, where `{prompt}` stands for the user's, and its negative prompt. Our own wording throughout. */
export type StyleTexts = Readonly<Record<string, readonly [prompt: string, negative: string]>>;
