import { describe, expect, it } from 'vitest';
import { splitComposition } from '#engine/text/composition.ts';

describe('splitComposition', () => {
  it.each([
    ['a cat', [['a cat', 1]]],
    [
      'a cat :1.2 AND a dog:0.5 AND sky',
      [
        ['a cat', 1.2],
        [' a dog', 0.5],
        [' sky', 1],
      ],
    ],
    [
      'fog :-1 AND hill',
      [
        ['fog', -1],
        [' hill', 1],
      ],
    ],
    [
      'SAND AND BRAND',
      [
        ['SAND', 1],
        [' BRAND', 1],
      ],
    ],
    ['and', [['and', 1]]],
    ['a:1:2', [['a:1', 2]]],
    ['(a:1.3)', [['(a:1.3)', 1]]],
    ['ratio:', [['ratio:', 1]]],
    ['a :.5 ', [['a', 0.5]]],
    ['', [['', 1]]],
    [
      'ÉAND AND',
      [
        ['ÉAND', 1],
        ['', 1],
      ],
    ],
  ])('%j', (text, parts) => {
    expect(splitComposition(text).map((part) => [part.text, part.weight])).toEqual(parts);
  });
});
