import { createRequire } from 'node:module';
import type * as OnnxProto from 'onnx-proto';

// Node does not see the names this CommonJS module exports.
const { onnx } = createRequire(import.meta.url)('onnx-proto') as typeof OnnxProto;
const { FLOAT, INT8, INT32 } = onnx.TensorProto.DataType;

const WIDTH = 64;

function valueInfo(name: string, elemType: number, sides: readonly (string | number)[]) {
  const dim = sides.map((side) => (typeof side === 'number' ? { dimValue: side } : { dimParam: side }));
  return { name, type: { tensorType: { elemType, shape: { dim } } } };
}

/**
 * A file as exporters write quantised text encoders, with its weights inside: a table of 100 tokens and so many layers of
 * 64 × 64 in int8, each behind a `DequantizeLinear`. Encoded by the reference's own schema.
 */
export function exportedOnnx(layers: number): Uint8Array<ArrayBuffer> {
  const node = [
    { opType: 'Gather', name: '/tok/Gather', input: ['tok.weight', 'input_ids'], output: ['h0'] },
  ];
  const initializer: OnnxProto.onnx.ITensorProto[] = [
    {
      name: 'tok.weight',
      dataType: FLOAT,
      dims: [100, WIDTH],
      rawData: new Uint8Array(100 * WIDTH * 4).fill(60),
    },
  ];
  for (let i = 0; i < layers; i++) {
    const name = `blocks.${i}.weight`;
    initializer.push(
      { name, dataType: INT8, dims: [WIDTH, WIDTH], rawData: new Uint8Array(WIDTH ** 2).fill(i + 1) },
      { name: `${name}_scale`, dataType: FLOAT, dims: [], floatData: [0.01] },
    );
    node.push(
      {
        opType: 'DequantizeLinear',
        name: `/blocks.${i}/DequantizeLinear`,
        input: [name, `${name}_scale`],
        output: [`${name}_float`],
      },
      {
        opType: 'MatMul',
        name: `/blocks.${i}/MatMul`,
        input: [`h${i}`, `${name}_float`],
        output: [i === layers - 1 ? 'last_hidden_state' : `h${i + 1}`],
      },
    );
  }
  const graph = {
    name: 'main_graph',
    node,
    initializer,
    input: [valueInfo('input_ids', INT32, ['batch', 77])],
    output: [valueInfo('last_hidden_state', FLOAT, ['batch', 'tokens', WIDTH])],
  };
  return Uint8Array.from(
    onnx.ModelProto.encode({
      irVersion: 8,
      producerName: 'pytorch',
      opsetImport: [{ domain: '', version: 17 }],
      graph,
    }).finish(),
  );
}
