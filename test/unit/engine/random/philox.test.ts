import { expect, test } from 'vitest';
import { createPhiloxGenerator } from '#engine/random/philox.ts';

test('a draw is the start of every longer one', () => {
  const short = createPhiloxGenerator(42n).randn(10);
  expect([...createPhiloxGenerator(42n).randn(1000).subarray(0, 10)]).toEqual([...short]);
});

test('each call draws again, whatever the size of the one before', () => {
  const generator = createPhiloxGenerator(42n);
  const first = generator.randn(8);
  const second = generator.randn(8);
  expect([...second]).not.toEqual([...first]);
  const other = createPhiloxGenerator(42n);
  other.randn(3000);
  expect([...other.randn(8)]).toEqual([...second]);
});

test('all 64 bits of a seed count', () => {
  const draw = (seed: bigint) => [...createPhiloxGenerator(seed).randn(4)];
  expect(draw(2n ** 32n + 5n)).not.toEqual(draw(5n));
  expect(draw(2n ** 64n - 1n)).not.toEqual(draw(2n ** 32n - 1n));
});
