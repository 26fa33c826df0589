import { expect, test } from 'vitest';
import { multiHeadAttention } from '#engine/graph/attention.ts';
import type { Dimension } from '#engine/graph/dimension.ts';
import { Graph } from '#engine/graph/graph.ts';
import { openGraph, type Numbers } from '../../../support/onnx-session.ts';
import { pseudoRandom, tensorsOf } from '../../../support/random-weights.ts';
import { relativeError } from '../../../support/relative-error.ts';

const weights = tensorsOf({});

interface Sizes {
  batch: number;
  tokens: number;
  heads: number;
  headSize: number;
}

/** Queries, keys and values, far enough from 0 that some scores count more than others. */
function operandsOf({ batch, tokens, heads, headSize }: Sizes): Record<'query' | 'key' | 'value', Numbers> {
  const shape = [batch, tokens, heads * headSize];
  const length = batch * tokens * heads * headSize;
  const numbers = pseudoRandom(3 * length).map((value) => 2 * value);
  const part = (index: number) => ({ data: numbers.slice(index * length, (index + 1) * length), shape });
  return { query: part(0), key: part(1), value: part(2) };
}

async function attend(
  sizes: Sizes,
  slicesAttention: boolean,
  isOpen: boolean,
): Promise<{ output: Float32Array; operands: ReturnType<typeof operandsOf> }> {
  const graph = new Graph({ name: 'attention', weights, slicesAttention });
  const { batch, tokens, heads, headSize } = sizes;
  const shape: Dimension[] = [isOpen ? 'batch' : batch, isOpen ? 'tokens' : tokens, heads * headSize];
  const input = (name: string) => graph.input(name, 'float32', shape);
  const attended = multiHeadAttention(graph, {
    query: input('query'),
    key: input('key'),
    value: input('value'),
    heads,
  });
  graph.output('output', attended);
  const session = await openGraph(graph.build(), weights, {});
  const operands = operandsOf(sizes);
  const { output } = await session.run(operands);
  await session.release();
  return { output: output?.data ?? new Float32Array(), operands };
}

/** One token's attention, head after head, in float64. */
function attendExactly(
  { query, key, value }: ReturnType<typeof operandsOf>,
  { tokens, heads, headSize }: Sizes,
  image: number,
  token: number,
): Float32Array {
  const width = heads * headSize;
  const at = (operand: Numbers, row: number, column: number) =>
    operand.data[(image * tokens + row) * width + column] ?? NaN;
  const result = new Float32Array(width);
  for (let head = 0; head < heads; head++) {
    const scores = Array.from({ length: tokens }, (_, row) => {
      let sum = 0;
      for (let i = head * headSize; i < (head + 1) * headSize; i++)
        sum += at(query, token, i) * at(key, row, i);
      return sum / Math.sqrt(headSize);
    });
    const highest = scores.reduce((a, b) => Math.max(a, b));
    const shares = scores.map((score) => Math.exp(score - highest));
    const total = shares.reduce((a, b) => a + b);
    for (let i = head * headSize; i < (head + 1) * headSize; i++) {
      result[i] = shares.reduce((sum, share, row) => sum + share * at(value, row, i), 0) / total;
    }
  }
  return result;
}

test.each([
  ['SD 1.5 at 512×768', { batch: 1, tokens: 6144, heads: 1, headSize: 40 }, true],
  ['the same in a graph of one size', { batch: 1, tokens: 6144, heads: 1, headSize: 40 }, false],
  ['a tile of a VAE', { batch: 1, tokens: 4096, heads: 1, headSize: 512 }, true],
] as const)('sliced attention runs as many tokens as %s has', async (_, sizes, isOpen) => {
  const { output, operands } = await attend(sizes, true, isOpen);
  const width = sizes.heads * sizes.headSize;
  for (const token of [0, 1, sizes.tokens >> 1, sizes.tokens - 1]) {
    const row = output.subarray(token * width, (token + 1) * width);
    expect(relativeError(row, attendExactly(operands, sizes, 0, token))).toBeLessThan(1e-4);
  }
});

test('without slices ONNX Runtime cannot', async () => {
  const sizes = { batch: 1, tokens: 6144, heads: 1, headSize: 40 };
  await expect(attend(sizes, false, true)).rejects.toThrow(/integer overflow/i);
});

test('slices of an uneven number of tokens, several heads and images make what one run makes', async () => {
  const sizes = { batch: 2, tokens: 1531, heads: 8, headSize: 8 };
  const [sliced, whole] = [await attend(sizes, true, true), await attend(sizes, false, true)];
  expect(sliced.output).toHaveLength(2 * 1531 * 64);
  expect(relativeError(sliced.output, whole.output)).toBeLessThan(1e-6);
});
