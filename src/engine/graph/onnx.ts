import type { TensorLocation, TensorType } from '#weights/tensor-source.ts';
import type { Shape } from './dimension.ts';
import { ProtobufWriter } from './protobuf.ts';

/** `ai.onnx` 20 is the first with Gelu, and none of its kernels is missing from ONNX Runtime's WebGPU provider. */
const OPSET = 20;
const IR_VERSION = 9;
const MICROSOFT = 'com.microsoft';

/** TensorProto.DataType of onnx.proto. */
const DATA_TYPE: Readonly<Record<TensorType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
  float8_e4m3: 17,
  float8_e5m2: 19,
};

/** Numbers become INT(S) unless wrapped in `float`; a graph is the body of a loop. */
export type Attribute = number | string | readonly number[] | { float: number } | { graph: OnnxGraph };
export type Attributes = Readonly<Record<string, Attribute>>;

export interface OnnxNode {
  operator: string;
  domain: '' | 'com.microsoft';
  /** Empty names for optional inputs left out. */
  inputs: readonly string[];
  outputs: readonly string[];
  attributes: Attributes;
}

export interface OnnxInitializer {
  name: string;
  type: TensorType;
  shape: readonly number[];
  data: Uint8Array | TensorLocation;
}

export interface OnnxValue {
  name: string;
  type: TensorType;
  shape: Shape;
}

export interface OnnxGraph {
  name: string;
  nodes: readonly OnnxNode[];
  initializers: readonly OnnxInitializer[];
  inputs: readonly OnnxValue[];
  outputs: readonly OnnxValue[];
}

/** The number ONNX has for an element type, as `Cast` takes it. */
export function onnxDataType(type: TensorType): number {
  return DATA_TYPE[type];
}

/** The graph as a serialised ONNX `ModelProto`. Field numbers are those of onnx.proto. */
export function encodeOnnx(graph: OnnxGraph): Uint8Array<ArrayBuffer> {
  return new ProtobufWriter()
    .int(1, IR_VERSION)
    .string(2, 'vitrine')
    .message(7, encodeGraph(graph))
    .message(8, new ProtobufWriter().string(1, '').int(2, OPSET))
    .message(8, new ProtobufWriter().string(1, MICROSOFT).int(2, 1))
    .finish();
}

function encodeGraph(graph: OnnxGraph): ProtobufWriter {
  const body = new ProtobufWriter();
  graph.nodes.forEach((node, index) => body.message(1, encodeNode(node, index)));
  body.string(2, graph.name);
  for (const initializer of graph.initializers) body.message(5, encodeInitializer(initializer));
  for (const input of graph.inputs) body.message(11, encodeValue(input));
  for (const output of graph.outputs) body.message(12, encodeValue(output));
  return body;
}

function encodeNode(node: OnnxNode, index: number): ProtobufWriter {
  const message = new ProtobufWriter();
  for (const input of node.inputs) message.string(1, input);
  for (const output of node.outputs) message.string(2, output);
  message.string(3, `${node.operator}_${index}`).string(4, node.operator);
  for (const [name, value] of Object.entries(node.attributes))
    message.message(5, encodeAttribute(name, value));
  return message.string(7, node.domain);
}

function encodeAttribute(name: string, value: Attribute): ProtobufWriter {
  const message = new ProtobufWriter().string(1, name);
  if (typeof value === 'number') return message.int(3, value).int(20, 2);
  if (typeof value === 'string') return message.string(4, value).int(20, 3);
  if ('float' in value) return message.float(2, value.float).int(20, 1);
  if ('graph' in value) return message.message(6, encodeGraph(value.graph)).int(20, 5);
  return message.ints(8, value).int(20, 7);
}

function encodeInitializer({ name, type, shape, data }: OnnxInitializer): ProtobufWriter {
  const message = new ProtobufWriter().ints(1, shape).int(2, DATA_TYPE[type]).string(8, name);
  if (data instanceof Uint8Array) return message.bytes(9, data);
  const entries = { location: data.file, offset: String(data.offset), length: String(data.length) };
  for (const [key, value] of Object.entries(entries)) {
    message.message(13, new ProtobufWriter().string(1, key).string(2, value));
  }
  return message.int(14, 1);
}

function encodeValue({ name, type, shape }: OnnxValue): ProtobufWriter {
  const dimensions = new ProtobufWriter();
  for (const dimension of shape) {
    const message = new ProtobufWriter();
    if (typeof dimension === 'number') message.int(1, dimension);
    else message.string(2, dimension);
    dimensions.message(1, message);
  }
  const tensor = new ProtobufWriter().int(1, DATA_TYPE[type]).message(2, dimensions);
  return new ProtobufWriter().string(1, name).message(2, new ProtobufWriter().message(1, tensor));
}
