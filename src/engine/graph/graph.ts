import type { FloatType } from '#weights/casts.ts';
import type { TensorInfo, TensorSource, TensorType } from '#weights/tensor-source.ts';
import { AppError } from '#protocol/error.ts';
import { describeShape, sameShape, type Dimension, type Shape } from './dimension.ts';
import {
  encodeOnnx,
  onnxDataType,
  type Attributes,
  type OnnxInitializer,
  type OnnxNode,
  type OnnxValue,
} from './onnx.ts';
import { WeightBinder, type Derivation, type GeneratedFile } from './weight-binder.ts';

/** What flows along an edge of the graph. */
export interface Value {
  readonly name: string;
  readonly type: TensorType;
  readonly shape: Shape;
}

/** What a node makes: a value that has no name yet. */
type Result = Omit<Value, 'name'>;

/** A finished graph and what ONNX Runtime needs beside it. */
export interface BuiltGraph {
  /** A serialised ONNX `ModelProto` whose weights are external. */
  model: Uint8Array<ArrayBuffer>;
  inputs: readonly OnnxValue[];
  outputs: readonly OnnxValue[];
  /** The weights used, by their diffusers names. */
  parameters: readonly TensorInfo[];
  /** Tensors of the source that the graph does not use. */
  unused: readonly string[];
  /** Names of the user's files whose weights are used unchanged. */
  files: readonly string[];
  /** The file to make of those weights that have no place in a user's file. */
  generated: GeneratedFile | undefined;
}

export interface GraphOptions {
  name: string;
  weights: TensorSource;
  /** What the arithmetic is done in; inputs and outputs stay float32. */
  precision?: FloatType;
  /** Convolutions take their borders from the opposite side, so that the image tiles. */
  circular?: boolean;
  /**
   * Every linear layer and 1×1 convolution takes a change of low rank: its module's inputs `<module>.lora_down`
   * [rank, in] and `<module>.lora_up` [out, rank], of a rank of its own.
   */
  loraInputs?: boolean;
  /** Attention of an image to itself goes slice by slice, as ONNX Runtime's CPU provider needs it: graph/attention.ts. */
  slicesAttention?: boolean;
  /**
   * 3×3 convolutions go by Winograd's way where it pays: on the CPU, with weights that are folded when the session is created,
   * for they have 16 numbers instead of 9. See graph/winograd.ts.
   */
  winograd?: boolean;
}

/**
 * An ONNX graph under construction. The functions of `operators.ts` and `layers.ts` add nodes to it and hand
 * back values; shapes are checked as they go.
 */
export class Graph {
  readonly precision: FloatType;
  readonly circular: boolean;
  readonly loraInputs: boolean;
  readonly slicesAttention: boolean;
  readonly winograd: boolean;
  readonly weights: WeightBinder;
  readonly #name: string;
  #nodes: OnnxNode[] = [];
  readonly #initializers: OnnxInitializer[] = [];
  readonly #inputs: OnnxValue[] = [];
  readonly #outputs: OnnxValue[] = [];
  readonly #constants = new Map<string, Value>();
  /** The first value of each symbolic shape, and the first value and axis that has each symbol. */
  readonly #shapes = new Map<string, Value>();
  readonly #symbols = new Map<string, { value: Value; axis: number }>();
  readonly #shapeTensors = new Map<string, Value>();
  #names = 0;
  /** Whether nodes are being added to the body of a loop, whose values cannot be read outside of it. */
  #isInBody = false;

  constructor({
    name,
    weights,
    precision = 'float32',
    circular = false,
    loraInputs = false,
    slicesAttention = false,
    winograd = false,
  }: GraphOptions) {
    this.#name = name;
    this.weights = new WeightBinder(weights, `${name}.weights`);
    this.precision = precision;
    this.circular = circular;
    this.loraInputs = loraInputs;
    this.slicesAttention = slicesAttention;
    this.winograd = winograd;
  }

  /** A graph input. Floats arrive as float32 and are cast to the graph's precision. */
  input(name: string, type: 'float32' | 'int32', shape: Shape): Value {
    if (type === 'float32') return this.cast(this.preciseInput(name, shape), this.precision);
    this.#inputs.push({ name, type, shape });
    return this.#remember({ name, type, shape });
  }

  /** A float32 graph input that stays float32 at any precision of the graph: timesteps and sizes. */
  preciseInput(name: string, shape: Shape): Value {
    this.#inputs.push({ name, type: 'float32', shape });
    return this.#remember({ name, type: 'float32', shape });
  }

  /** Makes a value an output under this name; floats leave as float32. */
  output(name: string, value: Value): void {
    const type = value.type === 'float16' ? 'float32' : value.type;
    this.#nodes.push(
      type === value.type
        ? { operator: 'Identity', domain: '', inputs: [value.name], outputs: [name], attributes: {} }
        : {
            operator: 'Cast',
            domain: '',
            inputs: [value.name],
            outputs: [name],
            attributes: { to: onnxDataType(type) },
          },
    );
    this.#outputs.push({ name, type, shape: value.shape });
  }

  /** Small numbers written into the graph, in the graph's precision unless stated otherwise. */
  floats(
    values: readonly number[] | Float32Array,
    shape: readonly number[] = [values.length],
    type: FloatType = this.precision,
  ): Value {
    const data = Float32Array.from(values);
    return this.cast(this.#constant('float32', shape, new Uint8Array(data.buffer)), type);
  }

  /** An int64 vector, as ONNX wants axes, sizes and shapes. */
  int64s(values: readonly number[]): Value {
    return this.#constant(
      'int64',
      [values.length],
      new Uint8Array(BigInt64Array.from(values, BigInt).buffer),
    );
  }

  /**
   * A weight by its diffusers name, in the graph's precision. `shape` is the file's; `as` is how the graph sees
   * the same elements. Weights of another type get a `Cast`, int8 weights with `<name>.scale` beside them a
   * `DequantizeLinear` per output channel; ONNX Runtime folds both when it creates the session.
   * @throws AppError `unsupported_feature` for weights kept in blocks, which only `linear` reads
   */
  parameter(name: string, shape: readonly number[], as: readonly number[] = shape): Value {
    const storage = this.weights.storage(name);
    if (storage === 'int4-blocks' || storage === 'int8-blocks') {
      throw new AppError(
        'unsupported_feature',
        `"${name}" is quantised in blocks, which this layer cannot read.`,
      );
    }
    const stored = this.storedParameter(name, shape, as);
    if (storage === 'int8-channels') {
      const scale = this.cast(this.storedParameter(`${name}.scale`, [shape[0] ?? 1]), this.precision);
      return this.node('DequantizeLinear', [stored, scale], { type: scale.type, shape: as }, { axis: 0 });
    }
    return this.cast(stored, this.precision);
  }

  /** A weight exactly as stored, of any type. */
  storedParameter(name: string, shape: readonly number[], as: readonly number[] = shape): Value {
    const { info, location } = this.weights.take(name, shape);
    this.#initializers.push({ name, type: info.type, shape: as, data: location });
    return { name, type: info.type, shape: as };
  }

  /** What is made of a weight in float32, quantised ones too. */
  derivedParameter(name: string, shape: readonly number[], derivation: Derivation): Value {
    const { info, location } = this.weights.derive(name, shape, derivation);
    this.#initializers.push({ ...info, data: location });
    return info;
  }

  /** Adds a node with one output. Undefined inputs are optional ones left out. */
  node(
    operator: string,
    inputs: readonly (Value | undefined)[],
    output: Result,
    attributes: Attributes = {},
    domain: OnnxNode['domain'] = '',
  ): Value {
    const [value] = this.nodes(operator, inputs, [output], attributes, domain);
    return value;
  }

  /** Adds a node with several outputs. */
  nodes(
    operator: string,
    inputs: readonly (Value | undefined)[],
    outputs: readonly [Result, ...Result[]],
    attributes: Attributes = {},
    domain: OnnxNode['domain'] = '',
  ): readonly [Value, ...Value[]] {
    const [first, ...rest] = outputs;
    const make = ({ type, shape }: Result): Value =>
      this.#remember({ name: `${operator}.${this.#names++}`, type, shape });
    const values: [Value, ...Value[]] = [make(first), ...rest.map(make)];
    this.#nodes.push({
      operator,
      domain,
      inputs: inputs.map((input) => input?.name ?? ''),
      outputs: values.map((value) => value.name),
      attributes,
    });
    return values;
  }

  /**
   * What `body` makes of each slice of a value along an axis, one after the other, joined along the same axis. The slices
   * lack that axis. The body may use values from outside of it.
   */
  scan(value: Value, axis: number, body: (slice: Value) => Value): Value {
    const side = value.shape[axis];
    if (side === undefined) throw new AppError('internal', `${value.name} has no axis ${axis}.`);
    const slice = {
      name: `slice.${this.#names++}`,
      type: value.type,
      shape: value.shape.filter((_, i) => i !== axis),
    };
    const around = this.#nodes;
    this.#nodes = [];
    this.#isInBody = true;
    const result = body(slice);
    const graph = { name: 'body', nodes: this.#nodes, initializers: [], inputs: [slice], outputs: [result] };
    this.#nodes = around;
    this.#isInBody = false;
    const shape = result.shape.toSpliced(axis, 0, side);
    const axes = { scan_input_axes: [axis], scan_output_axes: [axis] };
    return this.node(
      'Scan',
      [value],
      { type: result.type, shape },
      { body: { graph }, num_scan_inputs: 1, ...axes },
    );
  }

  /** The value in another element type; itself where it already is. */
  cast(value: Value, type: TensorType): Value {
    if (value.type === type) return value;
    return this.node('Cast', [value], { type, shape: value.shape }, { to: onnxDataType(type) });
  }

  /** The same elements in another shape of the same size. */
  reshape(value: Value, shape: Shape): Value {
    if (sameShape(value.shape, shape)) return value;
    return this.node('Reshape', [value, this.shapeTensor(shape, value)], { type: value.type, shape });
  }

  /**
   * An int64 vector that holds this shape when the graph runs. `Reshape`'s own abbreviations (0 for an
   * unchanged side, -1 for one computed side) are used if `reshaped` is given and they suffice; otherwise the shape of
   * a value that has it, which costs nothing, for ONNX Runtime keeps shapes on the CPU.
   */
  shapeTensor(shape: Shape, reshaped?: Value): Value {
    if (reshaped) {
      const target = shape.map((side, axis) =>
        typeof side === 'number' ? side : side === reshaped.shape[axis] ? 0 : -1,
      );
      if (target.filter((side) => side === -1).length <= 1) return this.int64s(target);
    }
    if (shape.every((side) => typeof side === 'number')) return this.int64s(shape);
    const key = describeShape(shape);
    const known = this.#shapeTensors.get(key);
    if (known) return known;
    const like = this.#shapes.get(key);
    const tensor = like
      ? this.node('Shape', [like], { type: 'int64', shape: [shape.length] })
      : this.node(
          'Concat',
          shape.map((side) => (typeof side === 'number' ? this.int64s([side]) : this.sideTensor(side))),
          { type: 'int64', shape: [shape.length] },
          { axis: 0 },
        );
    this.#shapeTensors.set(key, tensor);
    return tensor;
  }

  /** A one-element int64 vector that holds the size of a symbolic side. */
  sideTensor(side: string): Value {
    const key = describeShape([side]);
    const known = this.#shapeTensors.get(key);
    if (known) return known;
    const found = this.#symbols.get(side);
    if (!found)
      throw new AppError('internal', `No value of the graph "${this.#name}" has an axis of size ${side}.`);
    const tensor = this.node(
      'Shape',
      [found.value],
      { type: 'int64', shape: [1] },
      { start: found.axis, end: found.axis + 1 },
    );
    this.#shapeTensors.set(key, tensor);
    return tensor;
  }

  /** Serialises the graph. */
  build(): BuiltGraph {
    const files = this.#initializers.flatMap(({ data }) => ('file' in data ? [data.file] : []));
    const generated = this.weights.generated;
    return {
      model: encodeOnnx({
        name: this.#name,
        nodes: this.#nodesInOrder(),
        initializers: this.#initializers,
        inputs: this.#inputs,
        outputs: this.#outputs,
      }),
      inputs: this.#inputs,
      outputs: this.#outputs,
      parameters: this.weights.taken,
      unused: this.weights.left,
      files: [...new Set(files)].filter((file) => file !== generated?.path),
      generated,
    };
  }

  /**
   * The nodes, those that depend on weights alone first. ONNX Runtime runs what a node needs in the reverse of their
   * order (Graph::ReverseDFSFrom in core/graph/graph.cc), so a weight is cast or dequantised just before its one use and
   * freed after it; the other way round all of them would be in memory at once.
   */
  #nodesInOrder(): OnnxNode[] {
    const known = new Set(this.#initializers.map(({ name }) => name));
    const ofWeights: OnnxNode[] = [];
    const ofInputs: OnnxNode[] = [];
    for (const node of this.#nodes) {
      const isOfWeights = node.inputs.every((input) => input === '' || known.has(input));
      (isOfWeights ? ofWeights : ofInputs).push(node);
      if (isOfWeights) for (const output of node.outputs) known.add(output);
    }
    return [...ofWeights, ...ofInputs];
  }

  #constant(type: TensorType, shape: readonly number[], data: Uint8Array): Value {
    const key = `${type}${describeShape(shape)}${data.join()}`;
    const known = this.#constants.get(key);
    if (known) return known;
    const value: Value = { name: `constant.${this.#names++}`, type, shape };
    this.#initializers.push({ name: value.name, type, shape, data });
    this.#constants.set(key, value);
    return value;
  }

  /** Notes where the sizes of symbolic sides can be read when the graph runs. */
  #remember(value: Value): Value {
    const symbolic = (side: Dimension) => typeof side === 'string';
    if (!this.#isInBody && value.shape.some(symbolic)) {
      const key = describeShape(value.shape);
      if (!this.#shapes.has(key)) this.#shapes.set(key, value);
      value.shape.forEach((side, axis) => {
        if (typeof side === 'string' && !this.#symbols.has(side)) this.#symbols.set(side, { value, axis });
      });
    }
    return value;
  }
}
