const QUALITY_WORDS = [
  'highly detailed',
  'sharp focus',
  'balanced composition',
  'beautiful lighting',
  'high quality',
];

/** A prompt with the quality words it lacks appended, for `enhance_prompt: yes`. */
export function enhancePrompt(prompt: string): string {
  const lower = prompt.toLowerCase();
  const missing = QUALITY_WORDS.filter((word) => !lower.includes(word));
  return [prompt.trim().replace(/[,\s]+$/, ''), ...missing].filter((part) => part !== '').join(', ');
}
