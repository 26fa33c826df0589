import { describe, expect, test } from 'vitest';
import { createTorchCpuGenerator } from '#engine/random/torch-cpu.ts';
import { cases } from '../../../parity/rng.ts';

const FIXTURES = new URL('../../../fixtures', import.meta.url).pathname;

/** The rule of torch for fewer than 16 values, from 53-bit uniforms: a draw of one gives the next of them. */
function drawOneByOne(seed: bigint, count: number): number[] {
  const generator = createTorchCpuGenerator(seed);
  return Array.from({ length: count }, () => generator.randn(1)[0] ?? NaN);
}

test('agrees with torch and CUDA', async () => {
  let count = 0;
  for await (const { name, error, tolerance } of cases(FIXTURES)) {
    expect(error, name).toBeLessThanOrEqual(tolerance);
    count++;
  }
  expect(count).toBeGreaterThanOrEqual(11);
});

describe('torch CPU generator', () => {
  test.each(Array.from({ length: 15 }, (_, i) => i + 1))('%i values go through the scalar order', (count) => {
    expect([...createTorchCpuGenerator(7n).randn(count)]).toEqual(drawOneByOne(7n, count));
  });

  test('the second value of a scalar pair is kept for the next call', () => {
    const generator = createTorchCpuGenerator(3n);
    const inTwoCalls = [...generator.randn(5), ...generator.randn(4)];
    expect(inTwoCalls).toEqual([...createTorchCpuGenerator(3n).randn(9)]);
  });

  test.each(Array.from({ length: 25 }, (_, i) => i + 16))(
    '%i values: whole blocks of 16, then a new last 16',
    (count) => {
      const values = createTorchCpuGenerator(7n).randn(count);
      const whole = count - (count % 16);
      const reference = createTorchCpuGenerator(7n);
      // What is not overwritten by the tail is what a draw of whole blocks gives.
      const untouched = count % 16 === 0 ? count : count - 16;
      expect([...values.subarray(0, untouched)]).toEqual([...reference.randn(whole).subarray(0, untouched)]);
    },
  );

  test.each([20, 24, 28, 36, 40])('the last 16 of %i values come from 16 more words', (count) => {
    const reference = createTorchCpuGenerator(7n);
    // A pair of scalar values takes four words, a block of 16 takes 16.
    for (let i = 0; i < count / 2; i++) reference.randn(1);
    expect([...createTorchCpuGenerator(7n).randn(count).subarray(-16)]).toEqual([...reference.randn(16)]);
  });

  test('only the low 32 bits of a seed count, as in torch', () => {
    expect([...createTorchCpuGenerator(2n ** 40n + 5n).randn(20)]).toEqual([
      ...createTorchCpuGenerator(5n).randn(20),
    ]);
  });

  test('many values have mean 0 and variance 1', () => {
    const values = createTorchCpuGenerator(11n).randn(100_000);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    expect(Math.abs(mean)).toBeLessThan(0.01);
    expect(Math.abs(variance - 1)).toBeLessThan(0.02);
  });
});
