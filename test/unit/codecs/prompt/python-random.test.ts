import { describe, expect, it } from 'vitest';
import { PythonRandom } from '#codecs/prompt/python-random.ts';

// Printed by CPython 3.11: random.Random(seed), two calls of random(); and on a fresh one choice(range(n)).
const vectors = [
  { seed: 0n, random: [0.8444218515250481, 0.7579544029403025], choices: [6, 197, 0, 0, 265, 2] },
  { seed: 1n, random: [0.13436424411240122, 0.8474337369372327], choices: [1, 32, 0, 0, 507, 1] },
  { seed: 42n, random: [0.6394267984578837, 0.025010755222666936], choices: [5, 57, 0, 2, 250, 0] },
  { seed: 2n ** 32n, random: [0.11299430095636409, 0.41782886486292836], choices: [0, 179, 0, 0, 23, 2] },
  { seed: 2n ** 63n - 1n, random: [0.3166448820870279, 0.631259308253863], choices: [2, 67, 0, 3, 111, 1] },
  {
    seed: 123456789012345n,
    random: [0.6744750084019356, 0.2923275784421222],
    choices: [5, 112, 0, 3, 230, 2],
  },
];

describe('PythonRandom', () => {
  it.each(vectors)('draws as CPython with seed $seed', ({ seed, random, choices }) => {
    const doubles = new PythonRandom(seed);
    expect(random.map(() => doubles.random())).toEqual(random);
    const chooser = new PythonRandom(seed);
    const ranges = [7, 277, 1, 4, 1000, 3].map((length) => Array.from({ length }, (_, i) => i));
    expect(ranges.map((range) => chooser.choice(range))).toEqual(choices);
  });

  it('refuses to choose from nothing', () => {
    expect(() => new PythonRandom(0n).choice([])).toThrow(RangeError);
  });
});
