// Node does not see the names this CommonJS module exports.
import onnxProto from 'onnx-proto';

const { onnx } = onnxProto;
const { BOOL, FLOAT, INT64 } = onnx.TensorProto.DataType;
const { INT, INTS } = onnx.AttributeProto.AttributeType;

/** A side of a tensor: a number, or a name for one that is free. */
type Side = number | string;

/** A graph of a few nodes whose result is known. */
export interface TinyGraph {
  inputs: Readonly<Record<string, readonly Side[]>>;
  outputs: Readonly<Record<string, readonly Side[]>>;
  nodes: readonly TinyNode[];
  /** Tensors of numbers, by name; whole numbers are int64. */
  constants?: Readonly<
    Record<string, { dims: readonly number[]; values: readonly number[]; whole?: boolean }>
  >;
  /** Inputs of int64. */
  wholeInputs?: readonly string[];
  /** Inputs that are true or false. */
  flags?: readonly string[];
}

interface TinyNode {
  op: string;
  inputs: readonly string[];
  outputs: readonly string[];
  ints?: Readonly<Record<string, number | readonly number[]>>;
}

/** The graph as an ONNX file, encoded by the reference's own schema. */
export function onnxGraph({
  inputs,
  outputs,
  nodes,
  constants = {},
  wholeInputs = [],
  flags = [],
}: TinyGraph): Uint8Array<ArrayBuffer> {
  const valueOf = ([name, sides]: [string, readonly Side[]]) => ({
    name,
    type: {
      tensorType: {
        elemType: flags.includes(name) ? BOOL : wholeInputs.includes(name) ? INT64 : FLOAT,
        shape: {
          dim: sides.map((side) => (typeof side === 'number' ? { dimValue: side } : { dimParam: side })),
        },
      },
    },
  });
  const graph = {
    name: 'main_graph',
    node: nodes.map(({ op, inputs: from, outputs: to, ints = {} }) => ({
      opType: op,
      input: [...from],
      output: [...to],
      attribute: Object.entries(ints).map(([name, value]) =>
        typeof value === 'number' ? { name, type: INT, i: value } : { name, type: INTS, ints: [...value] },
      ),
    })),
    initializer: Object.entries(constants).map(([name, { dims, values, whole = false }]) => ({
      name,
      dims: [...dims],
      dataType: whole ? INT64 : FLOAT,
      ...(whole ? { int64Data: [...values] } : { floatData: [...values] }),
    })),
    input: Object.entries(inputs).map(valueOf),
    output: Object.entries(outputs).map(valueOf),
  };
  return Uint8Array.from(
    onnx.ModelProto.encode({
      irVersion: 8,
      producerName: 'tests',
      opsetImport: [{ domain: '', version: 17 }],
      graph,
    }).finish(),
  );
}
