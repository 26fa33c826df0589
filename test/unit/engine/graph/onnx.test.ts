import { onnx } from 'onnx-proto';
import { describe, expect, test } from 'vitest';
import { Graph } from '#engine/graph/graph.ts';
import { conv2d, linear } from '#engine/graph/layers.ts';
import { encodeOnnx } from '#engine/graph/onnx.ts';
import { relu } from '#engine/graph/operators.ts';
import { openGraph } from '../../../support/onnx-session.ts';
import { tensorsOf } from '../../../support/random-weights.ts';

const weights = tensorsOf({
  'layer.weight': { shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) },
  'layer.bias': { shape: [2], data: Float32Array.of(0.5, -100) },
});

function buildLayer() {
  const graph = new Graph({ name: 'example', weights });
  const input = graph.input('input', 'float32', ['batch', 3]);
  graph.output('output', relu(graph, linear(graph, input, 'layer', { out: 2 })));
  return graph.build();
}

describe('encodeOnnx', () => {
  test('writes what another protobuf reader reads', () => {
    const model = onnx.ModelProto.decode(buildLayer().model);
    const { graph, opsetImport } = model;
    expect(Number(model.irVersion)).toBe(9);
    expect(opsetImport.map(({ domain, version }) => [domain, Number(version)])).toEqual([
      ['', 20],
      ['com.microsoft', 1],
    ]);
    expect(graph?.name).toBe('example');
    expect(graph?.node?.map((node) => node.opType)).toEqual(['Gemm', 'Relu', 'Identity']);
    const gemm = graph?.node?.[0];
    expect(gemm?.input).toEqual(['input', 'layer.weight', 'layer.bias']);
    expect(gemm?.attribute?.map(({ name, i, type }) => [name, Number(i), type])).toEqual([['transB', 1, 2]]);

    const input = graph?.input?.[0];
    expect(input?.name).toBe('input');
    expect(input?.type?.tensorType?.elemType).toBe(onnx.TensorProto.DataType.FLOAT);
    expect(input?.type?.tensorType?.shape?.dim?.map((dim) => dim.dimParam || Number(dim.dimValue))).toEqual([
      'batch',
      3,
    ]);
  });

  test('points at weights outside the model', () => {
    const { graph } = onnx.ModelProto.decode(buildLayer().model);
    const external = graph?.initializer?.map((tensor) => ({
      name: tensor.name,
      dims: tensor.dims?.map(Number),
      ...Object.fromEntries(tensor.externalData?.map(({ key, value }) => [String(key), String(value)]) ?? []),
    }));
    expect(external).toEqual([
      { name: 'layer.weight', dims: [2, 3], location: 'example.weights', offset: '0', length: '24' },
      { name: 'layer.bias', dims: [2], location: 'example.weights', offset: '64', length: '8' },
    ]);
  });

  test.each([0, 1, -1, 127, 128, 300, -300, 2 ** 31, 2 ** 40 + 1, -(2 ** 40), Number.MAX_SAFE_INTEGER])(
    'writes the integer %d',
    (value) => {
      const model = encodeOnnx({
        name: 'integers',
        nodes: [
          {
            operator: 'Test',
            domain: '',
            inputs: [],
            outputs: ['out'],
            attributes: { one: value, many: [value, 7] },
          },
        ],
        initializers: [],
        inputs: [],
        outputs: [],
      });
      const attributes = onnx.ModelProto.decode(model).graph?.node?.[0]?.attribute;
      expect(String(attributes?.[0]?.i)).toBe(String(value));
      expect(attributes?.[1]?.ints?.map(String)).toEqual([String(value), '7']);
    },
  );

  test('writes floats, strings and constants', () => {
    const model = encodeOnnx({
      name: 'rest',
      nodes: [
        {
          operator: 'Test',
          domain: 'com.microsoft',
          inputs: ['a', '', 'b'],
          outputs: ['out'],
          attributes: { alpha: { float: 1.5 }, mode: 'nearest' },
        },
      ],
      initializers: [
        { name: 'a', type: 'float32', shape: [2], data: new Uint8Array(Float32Array.of(1, -2).buffer) },
      ],
      inputs: [],
      outputs: [],
    });
    const graph = onnx.ModelProto.decode(model).graph;
    const node = graph?.node?.[0];
    expect(node?.domain).toBe('com.microsoft');
    expect(node?.input).toEqual(['a', '', 'b']);
    expect(node?.attribute?.[0]).toMatchObject({ name: 'alpha', f: 1.5, type: 1 });
    expect(Buffer.from(node?.attribute?.[1]?.s ?? []).toString()).toBe('nearest');
    expect(Buffer.from(graph?.initializer?.[0]?.rawData ?? []).readFloatLE(4)).toBe(-2);
  });
});

describe('a built graph', () => {
  test('runs on ONNX Runtime', async () => {
    const session = await openGraph(buildLayer(), weights, {});
    const { output } = await session.run({
      input: { data: Float32Array.of(1, 1, 1, 2, 0, 0), shape: [2, 3] },
    });
    expect([...(output?.data ?? [])]).toEqual([6.5, 0, 2.5, 0]);
    await session.release();
  });

  test('refuses values that do not fit, by name', () => {
    const graph = new Graph({ name: 'example', weights });
    const image = graph.input('image', 'float32', ['batch', 4, 'height', 'width']);
    expect(() => linear(graph, image, 'layer', { out: 2 })).toThrow('layer: the size of the input');
    expect(() => conv2d(graph, image, 'layer', { out: 2 })).toThrow('"layer.weight" is [2, 3]');
  });
});
