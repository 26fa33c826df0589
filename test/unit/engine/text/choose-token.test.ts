import { expect, it } from 'vitest';
import { likeliestToken, withoutRepeats } from '#engine/text/choose-token.ts';

it.each([
  // 1 2 came already, and 3 after it.
  [[1, 2, 3, 1, 2], 3, [0, 1, 2, -Infinity, 4]],
  [[1, 2, 3, 4, 1, 2, 0, 1, 2], 3, [-Infinity, 1, 2, -Infinity, 4]],
  [[1, 2, 3, 2, 1], 3, [0, 1, 2, 3, 4]],
  [[4, 4], 1, [0, 1, 2, 3, -Infinity]],
  [[1, 2], 3, [0, 1, 2, 3, 4]],
  [[1, 1, 1], 0, [0, 1, 2, 3, 4]],
])('of %j no run of %i tokens comes twice', (ids, run, expected) => {
  const logits = Float32Array.from([0, 1, 2, 3, 4]);
  expect([...withoutRepeats(logits, ids, run)]).toEqual(expected);
  expect([...logits]).toEqual([0, 1, 2, 3, 4]);
});

it('takes the first of several likeliest tokens', () => {
  expect(likeliestToken(Float32Array.from([-1, 5, 5, -Infinity]))).toBe(1);
});
