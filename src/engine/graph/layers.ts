import { BLOCK_SIZE } from '#weights/quantise.ts';
import { AppError } from '#protocol/error.ts';
import { divide, halve, product, type Dimension } from './dimension.ts';
import type { Graph, Value } from './graph.ts';
import {
  add,
  concat,
  gelu,
  gemmTransposed,
  instanceNormalization,
  layerNormalization,
  matmul,
  mish,
  multiply,
  pad,
  quickGelu,
  relu,
  silu,
  slice,
  tanh,
  transpose,
} from './operators.ts';
import { suitsWinograd, winogradConvolution, winogradKernels } from './winograd.ts';

/*
 * Layers as torch names them: each takes its weights by name (`<name>.weight`, `<name>.bias`) in the layout torch
 * stores them, so that a checkpoint's bytes can be used unchanged.
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
    throw new AppError('internal', `${name}: the size of the input's last axis is not a number.`);
  const shape = [...input.shape.slice(0, -1), out];
  const weightName = `${name}.weight`;
  const biasName = `${name}.bias`;
  const storage = graph.weights.storage(weightName);
  if (storage === 'int4-blocks' || storage === 'int8-blocks') {
    const bits = storage === 'int4-blocks' ? 4 : 8;
    const product = matMulNBits(graph, input, weightName, { in: width, out, bits });
    const result = bias ? add(graph, product, graph.parameter(biasName, [out])) : product;
    return graph.loraInputs ? addLoraToRows(graph, input, name, result) : result;
  }
  const rows = toRows(graph, input);
  const weight = graph.parameter(weightName, [out, width]);
  const result = gemmTransposed(graph, rows, weight, bias ? graph.parameter(biasName, [out]) : undefined);
  return graph.reshape(graph.loraInputs ? addLoraToRows(graph, rows, name, result) : result, shape);
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
  const weightShape = [out, channels, kernel, kernel];
  const [before, after] = typeof padding === 'number' ? [padding, padding] : padding;
  const side = (size: Dimension) => convolvedSide(size, { kernel, stride, borders: before + after, name });
  const shape = [batch, out, side(height), side(width)];
  // A1111 tiles by making the padding of every Conv2d circular; the VAE encoder's one-sided padding is not affected.
  const wraps = graph.circular && before > 0;
  const source = wraps ? wrapBorders(graph, input, before) : input;
  if (
    graph.winograd &&
    kernel === 3 &&
    stride === 1 &&
    before === 1 &&
    after === 1 &&
    suitsWinograd(input, out)
  ) {
    const factors = graph.derivedParameter(`${name}.weight`, weightShape, winogradKernels);
    const result = winogradConvolution(graph, input, factors, wraps ? source : undefined);
    return bias ? add(graph, result, graph.parameter(`${name}.bias`, [out], [out, 1, 1])) : result;
  }
  const weight = graph.parameter(`${name}.weight`, weightShape);
  const rest = bias ? [graph.parameter(`${name}.bias`, [out])] : [];
  const pads = wraps ? [0, 0, 0, 0] : [before, before, after, after];
  // Nine channels, as inpainting models take, come out wrong from ONNX Runtime's WebGPU kernel, which takes them in threes.
  const missing = channels > 3 ? (4 - (channels % 4)) % 4 : 0;
  const filled = (value: Value) =>
    missing === 0 ? value : pad(graph, value, [0, 0, 0, 0], [0, missing, 0, 0]);
  const result = graph.node(
    'Conv',
    [filled(source), filled(weight), ...rest],
    { type: input.type, shape },
    { kernel_shape: [kernel, kernel], strides: [stride, stride], pads },
  );
  return graph.loraInputs && kernel === 1 && stride === 1
    ? addLoraToImage(graph, input, name, result)
    : result;
}

/** Groups of channels of `[batch, channels, height, width]`, each to mean 0 and variance 1. */
export type NormaliseGroups = (input: Value, sizes: { groups: number; epsilon: number }) => Value;

/**
 * `nn.GroupNorm` as Reshape, InstanceNormalization, scale and shift: the fused operator has no WebGPU kernel.
 * `normalise` replaces the first two.
 */
export function groupNorm(
  graph: Graph,
  input: Value,
  name: string,
  {
    groups,
    epsilon,
    normalise,
  }: { groups: number; epsilon: number; normalise?: NormaliseGroups | undefined },
): Value {
  const normalised = normalise
    ? normalise(input, { groups, epsilon })
    : groupNormWithoutAffine(graph, input, name, { groups, epsilon });
  const channels = Number(input.shape[1]);
  const sides = [channels, ...input.shape.slice(2).map(() => 1)];
  const scaled = multiply(graph, normalised, graph.parameter(`${name}.weight`, [channels], sides));
  return add(graph, scaled, graph.parameter(`${name}.bias`, [channels], sides));
}

/** `nn.LayerNorm` over the last side. */
export function layerNorm(graph: Graph, input: Value, name: string, epsilon: number): Value {
  const width = input.shape.at(-1);
  if (typeof width !== 'number')
    throw new AppError('internal', `${name}: the size of the input's last axis is not a number.`);
  return layerNormalization(graph, input, {
    scale: graph.parameter(`${name}.weight`, [width]),
    shift: graph.parameter(`${name}.bias`, [width]),
    epsilon,
  });
}

/**
 * torch's `pixel_unshuffle`: squares of pixels become channels, `[b, c, f·h, f·w]` to `[b, c·f², h, w]`. As a
 * convolution whose kernels hold a single 1: SpaceToDepth orders channels otherwise and has no WebGPU kernel.
 */
export function pixelUnshuffle(graph: Graph, input: Value, factor: number): Value {
  const [batch = 1, channels, height = 1, width = 1] = input.shape;
  if (typeof channels !== 'number')
    throw new AppError('internal', 'pixelUnshuffle: channels must be a number.');
  const out = channels * factor ** 2;
  const kernels = new Float32Array(out * channels * factor ** 2);
  for (let index = 0; index < out; index++) {
    const channel = Math.floor(index / factor ** 2);
    kernels[(index * channels + channel) * factor ** 2 + (index % factor ** 2)] = 1;
  }
  return graph.node(
    'Conv',
    [input, graph.floats(kernels, [out, channels, factor, factor])],
    { type: input.type, shape: [batch, out, divide(height, factor), divide(width, factor)] },
    { kernel_shape: [factor, factor], strides: [factor, factor] },
  );
}

/** `[batch, channels, height, width]` as `[batch, height·width, channels]`. */
export function imageToTokens(graph: Graph, image: Value): Value {
  const [batch = 1, channels = 1, height = 1, width = 1] = image.shape;
  return graph.reshape(transpose(graph, image, [0, 2, 3, 1]), [batch, product([height, width]), channels]);
}

/** The reverse of {@link imageToTokens}; `like` is an image of the height and width wanted. */
export function tokensToImage(graph: Graph, tokens: Value, like: Value): Value {
  const [batch = 1, , height = 1, width = 1] = like.shape;
  const channels = tokens.shape[2] ?? 1;
  return transpose(graph, graph.reshape(tokens, [batch, height, width, channels]), [0, 3, 1, 2]);
}

/**
 * The one epsilon given to InstanceNormalization. ONNX Runtime's WebGPU kernel (1.30) keeps compiled shaders by sizes
 * only, with the epsilon of whichever norm came first written into them. Others are made by scaling: norm(c·x) with
 * epsilon c²·ε is norm(x) with ε.
 */
const KERNEL_EPSILON = 1e-5;

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
      `${name}: ${channels ?? 0} channels cannot be split into ${groups} groups.`,
    );
  }
  const grouped = graph.reshape(input, [batch, groups, product([channels / groups, ...sides])]);
  // Sums of squares overflow float16.
  const precise = graph.cast(grouped, 'float32');
  const factor = Math.sqrt(KERNEL_EPSILON / epsilon);
  const scaled = factor === 1 ? precise : multiply(graph, precise, graph.floats([factor], [], 'float32'));
  const normalised = graph.cast(instanceNormalization(graph, scaled, KERNEL_EPSILON), input.type);
  return graph.reshape(normalised, input.shape);
}

/** All sides but the last joined. */
function toRows(graph: Graph, value: Value): Value {
  return graph.reshape(value, [product(value.shape.slice(0, -1)), value.shape.at(-1) ?? 1]);
}

/** Declares the inputs of a module's LoRA. */
function declareLora(graph: Graph, name: string, sides: { in: Dimension; out: Dimension }) {
  const rank = `${name}.lora_rank`;
  return {
    down: graph.input(`${name}.lora_down`, 'float32', [rank, sides.in]),
    up: graph.input(`${name}.lora_up`, 'float32', [sides.out, rank]),
  };
}

/** What a linear layer makes of `[…, in]`, with `input · downᵀ · upᵀ` added. */
function addLoraToRows(graph: Graph, input: Value, name: string, result: Value): Value {
  const [rows, sums] = [toRows(graph, input), toRows(graph, result)];
  const { down, up } = declareLora(graph, name, { in: rows.shape[1] ?? 1, out: sums.shape[1] ?? 1 });
  const added = gemmTransposed(graph, gemmTransposed(graph, rows, down, undefined), up, sums);
  return graph.reshape(added, result.shape);
}

/** What a 1×1 convolution makes of `[batch, in, height, width]`, with `up · down · input` added. */
function addLoraToImage(graph: Graph, input: Value, name: string, result: Value): Value {
  const [batch = 1, channels = 1, ...sides] = input.shape;
  const out = result.shape[1] ?? 1;
  const { down, up } = declareLora(graph, name, { in: channels, out });
  const cells = graph.reshape(input, [batch, channels, product(sides)]);
  const change = matmul(graph, up, matmul(graph, down, cells));
  return add(graph, result, graph.reshape(change, result.shape));
}

/** com.microsoft.MatMulNBits on weights in the layout of `quantiseTensors`. */
function matMulNBits(
  graph: Graph,
  input: Value,
  name: string,
  { in: width, out, bits }: { in: number; out: number; bits: 4 | 8 },
): Value {
  const blocks = width / BLOCK_SIZE;
  const zeroBytes = Math.ceil((blocks * bits) / 8);
  const weight = graph.storedParameter(name, [out, blocks, (BLOCK_SIZE * bits) / 8]);
  const scales = graph.parameter(`${name}.scale`, [out, blocks], [out * blocks]);
  const zeroPoints = graph.storedParameter(`${name}.zero_point`, [out, zeroBytes], [out * zeroBytes]);
  return graph.node(
    'MatMulNBits',
    [input, weight, scales, zeroPoints],
    { type: input.type, shape: [...input.shape.slice(0, -1), out] },
    { K: width, N: out, bits, block_size: BLOCK_SIZE },
    'com.microsoft',
  );
}

/** Each side of the image continued with its opposite border. */
function wrapBorders(graph: Graph, image: Value, border: number): Value {
  return [2, 3].reduce((wrapped, axis) => {
    const last = slice(graph, wrapped, axis, { start: -border, size: border });
    const first = slice(graph, wrapped, axis, { start: 0, end: border, size: border });
    return concat(graph, [last, wrapped, first], axis);
  }, image);
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
    `${name}: kernel ${kernel}, stride ${stride}, borders ${borders} of ${size} cannot be expressed.`,
  );
}
