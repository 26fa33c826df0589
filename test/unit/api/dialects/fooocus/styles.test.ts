import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { styles } from '#codecs/prompt/styles/index.ts';
import { wildcards } from '#api/dialects/fooocus/wildcards/index.ts';
import { fillWildcards, PROMPT_EXPANSION, RANDOM_STYLE } from '#api/dialects/fooocus/prompt.ts';
import { PythonRandom } from '#codecs/prompt/python-random.ts';

// The names Fooocus 2.5 lists, in its order.
const names = readFileSync(new URL('../../../../fixtures/fooocus-style-names.txt', import.meta.url), 'utf8')
  .trim()
  .split('\n');

describe('styles', () => {
  it("have all of Fooocus's names in its order", () => {
    expect(names).toHaveLength(279);
    expect([PROMPT_EXPANSION, RANDOM_STYLE, ...styles.keys()]).toEqual(names);
  });

  it.each([...styles])(
    '%s takes the prompt once, or only says what to avoid',
    (_name, { prompt, negative }) => {
      expect(prompt.split('{prompt}')).toHaveLength(prompt === '' ? 1 : 2);
      expect(negative).not.toContain('{prompt}');
      expect(prompt + negative).not.toBe('');
      expect(Math.max(prompt.length, negative.length)).toBeLessThanOrEqual(130);
    },
  );

  it('are all different', () => {
    expect(new Set(Array.from(styles.values(), ({ prompt }) => prompt)).size).toBeGreaterThanOrEqual(276);
  });

  it('stay small enough for the service worker', () => {
    expect(gzipSync(JSON.stringify([...styles])).length).toBeLessThan(25_000);
  });

  // random.Random(seed).choice over the names, by CPython 3.11.
  it.each([
    [0n, 'Op Art'],
    [1n, 'Artstyle Psychedelic'],
  ])('are chosen at random as Fooocus does with seed %s', (seed, name) => {
    expect(new PythonRandom(seed).choice([...styles.keys()])).toBe(name);
  });
});

describe('wildcards', () => {
  it("have the names of Fooocus's lists", () => {
    expect([...wildcards.keys()].sort()).toEqual(
      ['animal', 'artist', 'color', 'color_flower', 'extended-color', 'flower', 'nationality'].sort(),
    );
  });

  it.each([...wildcards])('%s holds different tidy words', (_name, words) => {
    expect(new Set(words).size).toBe(words.length);
    expect(words.every((word) => word !== '' && word === word.trim())).toBe(true);
  });

  it('resolve completely', () => {
    const random = new PythonRandom(3n);
    for (const name of wildcards.keys()) {
      expect(fillWildcards(`__${name}__`, wildcards, (words) => random.choice(words))).not.toMatch(/__/);
    }
  });
});
