import { onnx } from 'onnx-proto';
import { expect, test } from 'vitest';
import { Graph } from '#engine/graph/graph.ts';
import { groupNorm, linear } from '#engine/graph/layers.ts';
import { castTensors } from '#weights/casts.ts';
import { quantiseTensors } from '#weights/quantise.ts';
import { randomTensors, tensorsOf } from '../../../support/random-weights.ts';

test('what depends on weights alone comes first, so that ONNX Runtime does it last', () => {
  const weights = tensorsOf(
    randomTensors({ 'a.weight': [8, 8], 'a.bias': [8], 'b.weight': [8, 8], 'b.bias': [8] }),
  );
  const graph = new Graph({ name: 'two', weights: castTensors(weights, 'float16') });
  const input = graph.input('x', 'float32', ['batch', 8]);
  graph.output('y', linear(graph, linear(graph, input, 'a', { out: 8 }), 'b', { out: 8 }));
  const nodes = onnx.ModelProto.decode(graph.build().model).graph?.node ?? [];
  expect(nodes.map(({ opType }) => opType)).toEqual([
    ...['Cast', 'Cast', 'Cast', 'Cast'],
    ...['Gemm', 'Gemm', 'Identity'],
  ]);
});

test('a layer that cannot read blocks refuses weights quantised so', () => {
  const weights = quantiseTensors(
    tensorsOf(randomTensors({ 'norm.weight': [32, 32], 'norm.bias': [32] })),
    ({ name }) => (name === 'norm.weight' ? 'int8-blocks' : 'exact'),
  );
  const graph = new Graph({ name: 'norm', weights });
  const input = graph.input('x', 'float32', ['batch', 32, 4]);
  expect(() => groupNorm(graph, input, 'norm', { groups: 4, epsilon: 1e-5 })).toThrow(
    /"norm.weight" is quantised/,
  );
});
