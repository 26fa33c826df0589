import { describe, expect, it } from 'vitest';
import { enhancePrompt } from '#codecs/prompt/enhance.ts';

describe('enhancePrompt', () => {
  it('adds quality words once', () => {
    const enhanced = enhancePrompt('a cat, ');
    expect(enhanced).toMatch(/^a cat, \w.*high quality$/);
    expect(enhancePrompt(enhanced)).toBe(enhanced);
  });

  it('leaves out what the prompt already says', () => {
    expect(enhancePrompt('Highly Detailed cat').match(/highly detailed/gi)).toHaveLength(1);
  });
});
