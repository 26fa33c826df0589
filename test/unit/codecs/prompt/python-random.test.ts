import { describe, expect, it } from 'vitest';
import { PythonRandom } from '#codecs/prompt/python-random.ts';

// Printed by CPython 3.11: random.Random(seed), then choice(range(n)) for each n of LENGTHS.
const LENGTHS = [7, 277, 1, 4, 1000, 3];
const vectors = [
  { seed: 0n, choices: [6, 197, 0, 0, 265, 2] },
  { seed: 1n, choices: [1, 32, 0, 0, 507, 1] },
  { seed: 42n, choices: [5, 57, 0, 2, 250, 0] },
  { seed: 2n ** 32n, choices: [0, 179, 0, 0, 23, 2] },
  { seed: 2n ** 63n - 1n, choices: [2, 67, 0, 3, 111, 1] },
  {
    seed: 123456789012345n,
    choices: [5, 112, 0, 3, 230, 2],
  },
];

describe('PythonRandom', () => {
  it.each(vectors)('draws as CPython with seed $seed', ({ seed, choices }) => {
    const chooser = new PythonRandom(seed);
    const ranges = LENGTHS.map((length) => Array.from({ length }, (_, i) => i));
    expect(ranges.map((range) => chooser.choice(range))).toEqual(choices);
  });

  it('goes on as CPython for long', () => {
    const chooser = new PythonRandom(9n);
    const thousand = Array.from({ length: 1000 }, (_, i) => i);
    const drawn = Array.from({ length: 2000 }, () => chooser.choice(thousand));
    expect(drawn.slice(-5)).toEqual([25, 907, 913, 745, 472]);
  });

  it('refuses to choose from nothing', () => {
    expect(() => new PythonRandom(0n).choice([])).toThrow(RangeError);
  });
});
