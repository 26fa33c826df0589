/** A prompt with a seed at which the built-in model answers it well. */
export interface Example {
  prompt: string;
  /** As the form has it. */
  seed: string;
}

/** Looked at with the model's own values: the best of five seeds each, of the things it gets right. */
export const examples: readonly Example[] = [
  { prompt: 'red apple, 3d render', seed: '2' },
  { prompt: 'sunflower, 3d render', seed: '5' },
  { prompt: 'panda, 3d render', seed: '2' },
  { prompt: 'frog, flat design', seed: '4' },
];
