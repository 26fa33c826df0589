import { describe, expect, test } from 'vitest';
import { groupRows, planGuidance } from '#engine/stages/denoise/guidance.ts';
import type { Context, EncodedPrompt } from '#engine/text/encode.ts';

const context = (tokens = 77): Context => ({
  data: new Float32Array(tokens),
  tokens,
  width: 1,
  pooled: null,
});
const prompt = (weights: readonly number[], tokens = 77): EncodedPrompt => ({
  conditioningAt: () => ({
    positive: weights.map((weight) => ({ weight, context: context(tokens) })),
    negative: context(),
  }),
});
const weights = (prompts: EncodedPrompt[], scale: number, wants = {}) =>
  planGuidance(prompts, 0, scale, { skipUnconditional: false, unconditional: false, ...wants }).map(
    ({ weight }) => weight,
  );

describe('guidance as weighted rows', () => {
  test('uncond + scale · (cond − uncond)', () => {
    expect(weights([prompt([1])], 7.5)).toEqual([7.5, -6.5]);
  });
  test('without guidance there is no unconditional pass', () => {
    expect(weights([prompt([1])], 1)).toEqual([1]);
  });
  test('AND adds weighted conditions', () => {
    expect(weights([prompt([1, 0.5])], 4)).toEqual([4, 2, -5]);
  });
  test('a skipped unconditional pass leaves the conditions', () => {
    expect(weights([prompt([1])], 7, { skipUnconditional: true })).toEqual([1]);
    expect(weights([prompt([0.8, 0.5])], 7, { skipUnconditional: true })).toEqual([0.5, 0.5]);
  });
  test('CFG++ gets the output without guidance even where it counts for nothing', () => {
    expect(weights([prompt([1])], 1, { unconditional: true })).toEqual([1, 0]);
  });
});

test('rows of one length share a run, up to what memory allows', () => {
  const rows = planGuidance([prompt([1], 154), prompt([1])], 0, 7, {
    skipUnconditional: false,
    unconditional: false,
  });
  expect(groupRows(rows, 8).map((group) => group.map(({ context }) => context.tokens))).toEqual([
    [154],
    [77, 77, 77],
  ]);
  expect(groupRows(rows, 2).map((group) => group.length)).toEqual([1, 2, 1]);
});
