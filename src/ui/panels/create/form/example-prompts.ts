/** A prompt with a seed at which the built-in model answers it well. */
export interface Example {
  prompt: string;
  /** As the form has it. */
  seed: string;
}

/** Looked at with the model's own values: the best of five seeds each, of the things it gets right. */
export const examples: readonly Example[] = [
  { prompt: 'a red heart, 3d render', seed: '4' },
  { prompt: 'a green heart, gradient style', seed: '1' },
  { prompt: 'a smiling pumpkin, blob emoji', seed: '3' },
  { prompt: 'a pink pig face, cartoon style', seed: '1' },
];
