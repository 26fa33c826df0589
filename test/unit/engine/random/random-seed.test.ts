import { expect, test } from 'vitest';
import { randomSeed } from '#engine/random/random-seed.ts';

test('every seed below the limit comes up, and none above', () => {
  const seeds = new Set(Array.from({ length: 300 }, () => randomSeed(5n)));
  expect([...seeds].sort()).toEqual([0n, 1n, 2n, 3n, 4n]);
});

test('seeds use the whole range', () => {
  const highest = Array.from({ length: 100 }, () => randomSeed()).reduce((a, b) => (a > b ? a : b));
  expect(highest).toBeGreaterThan(2n ** 31n);
  expect(highest).toBeLessThan(2n ** 32n - 2n);
});
