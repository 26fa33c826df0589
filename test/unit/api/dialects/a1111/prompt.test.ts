import { describe, expect, it } from 'vitest';
import { stripComments } from '#api/dialects/a1111/prompt.ts';
import { applyStyles } from '#codecs/prompt/apply-styles.ts';

describe('stripComments', () => {
  it.each([
    ['cat', 'cat'],
    ['cat\n# a note\ndog', 'cat\ndog'],
    ['# a note\ndog', '\ndog'],
    ['cat # not this\ndog', 'cat \ndog'],
    ['cat\n#a\n#b\ndog', 'cat\n\ndog'],
  ])('%j', (text, expected) => {
    expect(stripComments(text)).toBe(expected);
  });
});

describe('applyStyles', () => {
  it.each([
    ['cat', ['film still of {prompt}, grain'], 'film still of cat, grain'],
    ['cat', ['grain', 'dark'], 'cat, grain, dark'],
    ['cat', ['{prompt} and {prompt}', ' sketch '], 'cat and cat, sketch'],
    ['', ['grain'], 'grain'],
    ['cat ', [''], 'cat'],
    ['$& cat', ['a {prompt}'], 'a $& cat'],
    ['cat', [], 'cat'],
  ])('%j with %j', (prompt, styles, expected) => {
    expect(applyStyles(prompt, styles)).toBe(expected);
  });
});
