const QUALITY_WORDS = [
  'highly detailed',
  'sharp focus',
  'balanced composition',
  'beautiful lighting',
  'high quality',
];

/** A prompt with those quality words behind it that it lacks: what `enhance_prompt: yes` asks for. */
export function enhancePrompt(prompt: string): string {
  const lower = prompt.toLowerCase();
  const missing = QUALITY_WORDS.filter((word) => !lower.includes(word));
  return [prompt.trim().replace(/[,\s]+$/, ''), ...missing].filter((part) => part !== '').join(', ');
}
