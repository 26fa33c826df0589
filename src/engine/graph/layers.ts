import { AppError } from '#protocol/error.ts';
import { halve, product, type Dimension } from './dimension.ts';
import type { Graph, Value } from './graph.ts';
import {
  add,
  gelu,
  gemmTransposed,
  instanceNormalization,
  layerNormalization,
  mish,
  multiply,
  quickGelu,
  relu,
  silu,
  slice,
  tanh,
  transpose,
} from './operators.ts';

/*
 * Layers as torch names them: each takes its weights by name (`<name>.weight`, `<name>.bias`) in the layout torch
 * stores them, so that a checkpoint's bytes serve as they are.
 */

/** Activation functions by the names diffusers and transformers configurations use. */
export const ACTIVATIONS = {
  silu,
  swish: silu,
  gelu: (graph: Graph, value: Value) => gelu(graph, value),
  gelu_new: (graph: Graph, value: Value) => gelu(graph, value, 'tanh'),
  gelu_pytorch_tanh: (graph: Graph, value: Value) => gelu(graph, value, 'tanh'),
  quick_gelu: quickGelu,
  relu,
  mish,
  tanh,
} as const satisfies Record<string, (graph: Graph, value: Value) => Value>;

export type Activation = keyof typeof ACTIVATIONS;

/** Applies an activation function. */
export function activate(graph: Graph, value: Value, activation: Activation): Value {
  return ACTIVATIONS[activation](graph, value);
}

/**
 * `nn.Linear`: `[…, in]` to `[…, out]`. Block-quantised weights run as `MatMulNBits`; others as a `Gemm` on rows,
 * which reads torch's `[out, in]` layout, so no transposed copy is made.
 */
export function linear(
  graph: Graph,
  input: Value,
  name: string,
  { out, bias = true }: { out: number; bias?: boolean },
): Value {
  const width = input.shape.at(-1);
  if (typeof width !== 'number')
    throw new AppError('internal', `${name}: the last side of its input is not a number.`);
  const shape = [...input.shape.slice(0, -1), out];
  const weightName = `${name}.weight`;
  const biasName = `${name}.bias`;
  if (graph.weights.info(weightName).type === 'uint8') {
    const product = matMulNBits(graph, input, weightName, { in: width, out });
    return bias ? add(graph, product, graph.parameter(biasName, [out])) : product;
  }
  const rows = graph.reshape(input, [product(input.shape.slice(0, -1)), width]);
  const weight = graph.parameter(weightName, [out, width]);
  const result = gemmTransposed(graph, rows, weight, bias ? graph.parameter(biasName, [out]) : undefined);
  return graph.reshape(result, shape);
}

/** `nn.Conv2d` with square kernels. `padding` is per side, or `[top and left, bottom and right]`. */
export function conv2d(
  graph: Graph,
  input: Value,
  name: string,
  {
    out,
    kernel = 3,
    stride = 1,
    padding = Math.floor(kernel / 2),
    bias = true,
  }: { out: number; kernel?: number; stride?: number; padding?: number | readonly [0, 1]; bias?: boolean },
): Value {
  const [batch, channels, height, width] = input.shape;
  if (batch === undefined || typeof channels !== 'number' || height === undefined || width === undefined) {
    throw new AppError('internal', `${name}: a convolution needs [batch, channels, height, width].`);
  }
  const weight = graph.parameter(`${name}.weight`, [out, channels, kernel, kernel]);
  const inputs = bias ? [weight, graph.parameter(`${name}.bias`, [out])] : [weight];
  const [before, after] = typeof padding === 'number' ? [padding, padding] : padding;
  const side = (size: Dimension) => convolvedSide(size, { kernel, stride, borders: before + after, name });
  const shape = [batch, out, side(height), side(width)];
  // A1111 tiles by making the padding of every Conv2d circular; the VAE encoder's one-sided padding is no part of it.
  const wraps = graph.circular && before > 0;
  const source = wraps ? wrapBorders(graph, input, before) : input;
  const pads = wraps ? [0, 0, 0, 0] : [before, before, after, after];
  return graph.node(
    'Conv',
    [source, ...inputs],
    { type: input.type, shape },
    { kernel_shape: [kernel, kernel], strides: [stride, stride], pads },
  );
}

/** `nn.GroupNorm` as Reshape, InstanceNormalization, scale and shift: the fused operator has no WebGPU kernel. */
export function groupNorm(
  graph: Graph,
  input: Value,
  name: string,
  { groups, epsilon }: { groups: number; epsilon: number },
): Value {
  const normalised = groupNormWithoutAffine(graph, input, name, { groups, epsilon });
  const channels = Number(input.shape[1]);
  const sides = [channels, ...input.shape.slice(2).map(() => 1)];
  const scaled = multiply(graph, normalised, graph.parameter(`${name}.weight`, [channels], sides));
  return add(graph, scaled, graph.parameter(`${name}.bias`, [channels], sides));
}

/** `nn.LayerNorm` over the last side. */
export function layerNorm(graph: Graph, input: Value, name: string, epsilon: number): Value {
  const width = input.shape.at(-1);
  if (typeof width !== 'number')
    throw new AppError('internal', `${name}: the last side of its input is not a number.`);
  return layerNormalization(graph, input, {
    scale: graph.parameter(`${name}.weight`, [width]),
    shift: graph.parameter(`${name}.bias`, [width]),
    epsilon,
  });
}

/** `[batch, channels, height, width]` as `[batch, height·width, channels]`. */
export function imageToTokens(graph: Graph, image: Value): Value {
  const [batch = 1, channels = 1, height = 1, width = 1] = image.shape;
  return graph.reshape(transpose(graph, image, [0, 2, 3, 1]), [batch, product([height, width]), channels]);
}

/** The reverse of {@link imageToTokens}; `like` is a picture of the height and width wanted. */
export function tokensToImage(graph: Graph, tokens: Value, like: Value): Value {
  const [batch = 1, , height = 1, width = 1] = like.shape;
  const channels = tokens.shape[2] ?? 1;
  return transpose(graph, graph.reshape(tokens, [batch, height, width, channels]), [0, 3, 1, 2]);
}

function groupNormWithoutAffine(
  graph: Graph,
  input: Value,
  name: string,
  { groups, epsilon }: { groups: number; epsilon: number },
): Value {
  const [batch = 1, channels, ...sides] = input.shape;
  if (typeof channels !== 'number' || channels % groups !== 0) {
    throw new AppError(
      'invalid_request',
      `${name}: ${channels ?? 0} channels do not part into ${groups} groups.`,
    );
  }
  const grouped = graph.reshape(input, [batch, groups, product([channels / groups, ...sides])]);
  // Sums of squares overflow float16.
  const precise = graph.cast(grouped, 'float32');
  const normalised = graph.cast(instanceNormalization(graph, precise, epsilon), input.type);
  return graph.reshape(normalised, input.shape);
}

/**
 * com.microsoft.MatMulNBits: weights `[out, blocks, bytes]` of 4 or 8 bits with one scale (and zero point) per
 * block of inputs.
 */
function matMulNBits(graph: Graph, input: Value, name: string, size: { in: number; out: number }): Value {
  const stored = graph.weights.info(name);
  const [rows, blocks, bytes] = stored.shape;
  if (rows !== size.out || blocks === undefined || bytes === undefined) {
    throw new AppError(
      'invalid_request',
      `The tensor "${name}" is no block-quantised [${size.out}, ${size.in}] matrix.`,
    );
  }
  const bits = blocks * bytes >= size.in ? 8 : 4;
  const quantised = graph.storedParameter(name, [rows, blocks, bytes]);
  const scales = graph.parameter(`${name}.scale`, [rows, blocks], [rows * blocks]);
  const zeroPoint = `${name}.zero_point`;
  const inputs = [input, quantised, scales];
  if (graph.weights.has(zeroPoint)) {
    const packed = Math.ceil((blocks * bits) / 8);
    inputs.push(graph.storedParameter(zeroPoint, [rows, packed], [rows * packed]));
  }
  return graph.node(
    'MatMulNBits',
    inputs,
    { type: input.type, shape: [...input.shape.slice(0, -1), size.out] },
    { K: size.in, N: size.out, bits, block_size: (bytes * 8) / bits },
    'com.microsoft',
  );
}

/** Each side of the picture continued with its opposite border. */
function wrapBorders(graph: Graph, image: Value, border: number): Value {
  let wrapped = image;
  for (const axis of [2, 3]) {
    const last = slice(graph, wrapped, axis, { start: -border, size: border });
    const first = slice(graph, wrapped, axis, { start: 0, end: border, size: border });
    const side = wrapped.shape[axis];
    const size = typeof side === 'number' ? side + 2 * border : `${side ?? ''}_and_borders`;
    wrapped = graph.node(
      'Concat',
      [last, wrapped, first],
      { type: image.type, shape: wrapped.shape.map((s, i) => (i === axis ? size : s)) },
      { axis },
    );
  }
  return wrapped;
}

function convolvedSide(
  size: Dimension,
  { kernel, stride, borders, name }: { kernel: number; stride: number; borders: number; name: string },
): Dimension {
  if (typeof size === 'number') return Math.floor((size + borders - kernel) / stride) + 1;
  if (stride === 1 && borders === kernel - 1) return size;
  // Even sizes lose nothing to one border less; odd ones round up with both borders.
  if (stride === 2 && (borders === kernel - 1 || borders === kernel - 2)) return halve(size);
  throw new AppError(
    'internal',
    `${name}: kernel ${kernel}, stride ${stride}, borders ${borders} of ${size} has no name.`,
  );
}
