import { describe, expect, it } from 'vitest';
import { interpolateFromEmpty, multiplyKeepingMean, multiplyTokens } from '#engine/text/emphasis.ts';

const weights = Float32Array.of(1, 2, 0.5);
const hidden = () => Float32Array.of(1, 2, 3, 4, 5, 6);

function mean(values: Float32Array): number {
  return values.reduce((total, value) => total + value, 0) / values.length;
}

describe('multiplyTokens', () => {
  it('scales each token by its weight', () => {
    const values = hidden();
    multiplyTokens(values, weights);
    expect([...values]).toEqual([1, 2, 6, 8, 2.5, 3]);
  });
});

describe('multiplyKeepingMean', () => {
  it('scales all tokens so that the mean stays', () => {
    const values = hidden();
    multiplyKeepingMean([{ hidden: values, weights, count: 1 }]);
    // Σ before 21, after the weights 22.5.
    const expected = [1, 2, 6, 8, 2.5, 3].map((value) => (value * 21) / 22.5);
    for (const [i, value] of expected.entries()) expect(values[i]).toBeCloseTo(value, 5);
    expect(mean(values)).toBeCloseTo(3.5, 5);
  });

  it('keeps the mean of texts encoded together, not of each', () => {
    const plain = hidden();
    const weighted = hidden();
    multiplyKeepingMean([
      { hidden: plain, weights: Float32Array.of(1, 1, 1), count: 1 },
      { hidden: weighted, weights, count: 1 },
    ]);
    expect(plain[0]).toBeCloseTo(42 / 43.5, 5);
    expect(mean(plain) + mean(weighted)).toBeCloseTo(7, 5);
  });

  it('counts a text that returns in a schedule as often as it does', () => {
    const twice = [hidden(), hidden()];
    multiplyKeepingMean([
      ...twice.map((values) => ({ hidden: values, weights, count: 1 })),
      { hidden: hidden(), weights: Float32Array.of(1, 1, 1), count: 1 },
    ]);
    const counted = hidden();
    multiplyKeepingMean([
      { hidden: counted, weights, count: 2 },
      { hidden: hidden(), weights: Float32Array.of(1, 1, 1), count: 1 },
    ]);
    expect([...counted]).toEqual([...(twice[0] ?? [])]);
  });

  it('changes nothing without weights', () => {
    const values = hidden();
    multiplyKeepingMean([{ hidden: values, weights: Float32Array.of(1, 1, 1), count: 1 }]);
    expect([...values]).toEqual([...hidden()]);
  });
});

describe('interpolateFromEmpty', () => {
  it('moves tokens away from the empty prompt and keeps the mean', () => {
    const values = hidden();
    interpolateFromEmpty(values, Float32Array.of(1, 1, 1, 1, 1, 1), weights);
    // (3 − 1)·2 + 1 = 5, (4 − 1)·2 + 1 = 7, (5 − 1)/2 + 1 = 3, (6 − 1)/2 + 1 = 3.5; Σ 21.5 instead of 21.
    const expected = [1, 2, 5, 7, 3, 3.5].map((value) => (value * 21) / 21.5);
    for (const [i, value] of expected.entries()) expect(values[i]).toBeCloseTo(value, 5);
  });
});
