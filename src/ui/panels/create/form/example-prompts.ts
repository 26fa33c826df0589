/** Prompts the built-in model answers well, one for each of its styles. */
export const examplePrompts: readonly string[] = [
  'a red apple, 3d render',
  'a blue whale on a yellow background, flat style',
  'a purple rocket, gradient style',
  'cat and moon, line art',
  'a green dragon, cartoon style',
  'a smiling pumpkin, blob emoji',
];
