import { describe, expect, test } from 'vitest';
import { Graph, type Value } from '#engine/graph/graph.ts';
import { conv2d, groupNorm, linear, pixelUnshuffle } from '#engine/graph/layers.ts';
import { pixelShuffle } from '#engine/graph/operators.ts';
import { dequantiseTensors, quantiseTensors, type Storage } from '#weights/quantise.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import { openGraph } from '../../../support/onnx-session.ts';
import { pseudoRandom, randomTensors, tensorsOf } from '../../../support/random-weights.ts';
import { relativeError } from '../../../support/relative-error.ts';

/** Builds a graph of one layer and runs it once. */
async function run(
  weights: TensorSource,
  { data, shape }: { data: Float32Array; shape: readonly number[] },
  layer: (graph: Graph, input: Value) => Value,
  options: { circular?: boolean } = {},
): Promise<Float32Array> {
  const graph = new Graph({ name: 'layer', weights, ...options });
  graph.output('output', layer(graph, graph.input('input', 'float32', shape)));
  const session = await openGraph(graph.build(), weights, {});
  const { output } = await session.run({ input: { data, shape } });
  await session.release();
  return output?.data ?? new Float32Array();
}

const tokens = { data: pseudoRandom(2 * 5 * 64), shape: [2, 5, 64] };
const image = { data: pseudoRandom(2 * 4 * 6 * 6), shape: [2, 4, 6, 6] };

describe('quantised weights', () => {
  const weights = tensorsOf(
    randomTensors({ 'fc.weight': [48, 64], 'fc.bias': [48], 'conv.weight': [8, 4, 3, 3], 'conv.bias': [8] }),
  );
  const storing = (name: string, storage: Storage) =>
    quantiseTensors(weights, (tensor) => (tensor.name === name ? storage : 'exact'));

  test.each([
    ['int8-blocks', 0.01],
    ['int4-blocks', 0.1],
  ] as const)('a linear layer in %s computes what its numbers mean', async (storage, change) => {
    const quantised = storing('fc.weight', storage);
    const layer = (graph: Graph, input: Value) => linear(graph, input, 'fc', { out: 48 });
    const output = await run(quantised, tokens, layer);
    expect(relativeError(output, await run(dequantiseTensors(quantised), tokens, layer))).toBeLessThan(1e-4);
    const error = relativeError(output, await run(weights, tokens, layer));
    expect(error).toBeGreaterThan(1e-5);
    expect(error).toBeLessThan(change);
  });

  test('a convolution in int8 computes what its numbers mean', async () => {
    const quantised = storing('conv.weight', 'int8-channels');
    const layer = (graph: Graph, input: Value) => conv2d(graph, input, 'conv', { out: 8 });
    const output = await run(quantised, image, layer);
    expect(relativeError(output, await run(dequantiseTensors(quantised), image, layer))).toBeLessThan(1e-5);
    expect(relativeError(output, await run(weights, image, layer))).toBeLessThan(0.02);
  });
});

test('groupNorm gives each group mean 0 and variance 1 before scale and shift', async () => {
  const weights = tensorsOf({
    'norm.weight': { shape: [4], data: Float32Array.of(1, 1, 2, 2) },
    'norm.bias': { shape: [4], data: Float32Array.of(0, 0, 5, 5) },
  });
  const output = await run(weights, image, (graph, input) =>
    groupNorm(graph, input, 'norm', { groups: 2, epsilon: 1e-6 }),
  );
  const statistics = [0, 1].map((group) => {
    const values = output.subarray(group * 72, (group + 1) * 72);
    const mean = values.reduce((sum, value) => sum + value, 0) / 72;
    return [mean, values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 72];
  });
  expect(statistics.flat().map((value) => Number(value.toFixed(3)))).toEqual([0, 1, 5, 4]);
});

test('a circular convolution sees the opposite border', async () => {
  const kernel = new Float32Array(9);
  kernel[3] = 1;
  const weights = tensorsOf({ 'left.weight': { shape: [1, 1, 3, 3], data: kernel } });
  const row = { data: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9), shape: [1, 1, 3, 3] };
  const layer = (graph: Graph, input: Value) => conv2d(graph, input, 'left', { out: 1, bias: false });
  expect([...(await run(weights, row, layer))]).toEqual([0, 1, 2, 0, 4, 5, 0, 7, 8]);
  expect([...(await run(weights, row, layer, { circular: true }))]).toEqual([3, 1, 2, 6, 4, 5, 9, 7, 8]);
});

test('pixelUnshuffle orders channels as torch does, and pixelShuffle undoes it', async () => {
  const none = tensorsOf({});
  const small = { data: Float32Array.from({ length: 8 }, (_, i) => i), shape: [1, 2, 2, 2] };
  expect([...(await run(none, small, (graph, input) => pixelUnshuffle(graph, input, 2)))]).toEqual([
    ...small.data,
  ]);
  const there = (graph: Graph, input: Value) => pixelShuffle(graph, pixelUnshuffle(graph, input, 3), 3);
  expect([...(await run(none, image, there))]).toEqual([...image.data]);
});
