import { AppError } from '#protocol/error.ts';
import { broadcast, describeShape, product, sum, type Dimension, type Shape } from './dimension.ts';
import type { Graph, Value } from './graph.ts';

/*
 * One function per ONNX operator: checks shapes, adds the node, returns the result. Only operators that ONNX
 * Runtime's native WebGPU provider runs on the GPU.
 */

/** An end of `Slice` beyond every tensor. */
const LAST = 2 ** 31 - 1;

const sigmoidLike = (alpha: number) => ({ alpha: { float: alpha } });

/** Element-wise sum. */
export function add(graph: Graph, a: Value, b: Value): Value {
  return elementwise(graph, 'Add', a, b);
}

/** Element-wise difference. */
export function subtract(graph: Graph, a: Value, b: Value): Value {
  return elementwise(graph, 'Sub', a, b);
}

/** Element-wise product. */
export function multiply(graph: Graph, a: Value, b: Value): Value {
  return elementwise(graph, 'Mul', a, b);
}

/** Element-wise quotient. */
export function divide(graph: Graph, a: Value, b: Value): Value {
  return elementwise(graph, 'Div', a, b);
}

/** Element-wise smaller value. */
export function minimum(graph: Graph, a: Value, b: Value): Value {
  return elementwise(graph, 'Min', a, b);
}

/** Element-wise larger value. */
export function maximum(graph: Graph, a: Value, b: Value): Value {
  return elementwise(graph, 'Max', a, b);
}

/** 1 where equal, else 0, in the type of `a`. */
export function equal(graph: Graph, a: Value, b: Value): Value {
  const shape = broadcastOrThrow('Equal', a, b);
  return graph.cast(graph.node('Equal', [a, b], { type: 'bool', shape }), a.type);
}

/** Times a number. */
export function scale(graph: Graph, value: Value, factor: number): Value {
  return factor === 1 ? value : multiply(graph, value, graph.floats([factor], []));
}

/** Cosine of each angle. */
export function cosine(graph: Graph, value: Value): Value {
  return graph.node('Cos', [value], value);
}

/** Sine of each angle. */
export function sine(graph: Graph, value: Value): Value {
  return graph.node('Sin', [value], value);
}

/** Hyperbolic tangent. */
export function tanh(graph: Graph, value: Value): Value {
  return graph.node('Tanh', [value], value);
}

/** max(0, x). */
export function relu(graph: Graph, value: Value): Value {
  return graph.node('Relu', [value], value);
}

/** x where positive, else slope·x. */
export function leakyRelu(graph: Graph, value: Value, slope: number): Value {
  return graph.node('LeakyRelu', [value], value, sigmoidLike(slope));
}

/** x·sigmoid(x), as the QuickGelu kernel with alpha 1: one node instead of two. */
export function silu(graph: Graph, value: Value): Value {
  return graph.node('QuickGelu', [value], value, sigmoidLike(1), 'com.microsoft');
}

/** x·sigmoid(1.702·x), CLIP's activation. */
export function quickGelu(graph: Graph, value: Value): Value {
  return graph.node('QuickGelu', [value], value, sigmoidLike(1.702), 'com.microsoft');
}

/** x·Φ(x); `tanh` is the approximation torch calls `gelu(approximate="tanh")`. */
export function gelu(graph: Graph, value: Value, approximate: 'none' | 'tanh' = 'none'): Value {
  return graph.node('Gelu', [value], value, { approximate });
}

/** x·tanh(ln(1 + eˣ)). */
export function mish(graph: Graph, value: Value): Value {
  return multiply(graph, value, tanh(graph, graph.node('Softplus', [value], value)));
}

/** The exponentials of each row (last axis), divided by their sum. */
export function softmax(graph: Graph, value: Value): Value {
  return graph.node('Softmax', [value], value, { axis: -1 });
}

/** Values joined along an axis. */
export function concat(graph: Graph, values: readonly Value[], axis: number): Value {
  const [first] = values;
  if (!first) throw new AppError('internal', 'Concat needs at least one input.');
  const rank = first.shape.length;
  const at = axis < 0 ? axis + rank : axis;
  let size: Dimension = 0;
  for (const value of values) {
    const fits =
      value.shape.length === rank && value.shape.every((side, i) => i === at || side === first.shape[i]);
    const side = value.shape[at];
    if (!fits || side === undefined) throw mismatch('Concat', values);
    size = sum(size, side);
  }
  const shape = first.shape.map((side, i) => (i === at ? size : side));
  return graph.node('Concat', values, { type: first.type, shape }, { axis: at });
}

/** Equal parts along an axis whose size is a number. */
export function split(graph: Graph, value: Value, parts: number, axis: number): readonly [Value, ...Value[]] {
  const at = axis < 0 ? axis + value.shape.length : axis;
  const side = value.shape[at];
  if (typeof side !== 'number' || side % parts !== 0) throw mismatch(`Split in ${parts}`, [value]);
  const part = { type: value.type, shape: value.shape.map((s, i) => (i === at ? side / parts : s)) };
  return graph.nodes('Split', [value], [part, ...Array.from({ length: parts - 1 }, () => part)], {
    axis: at,
    num_outputs: parts,
  });
}

/**
 * `start … end` along one axis. `end` may be left out for "to the last", and both may be negative as in Python;
 * `size` is the length of the result.
 */
export function slice(
  graph: Graph,
  value: Value,
  axis: number,
  { start, end = LAST, size }: { start: number; end?: number; size: Dimension },
): Value {
  const shape = value.shape.map((side, i) => (i === axis ? size : side));
  const limits = [start, end, axis].map((n) => graph.int64s([n]));
  return graph.node('Slice', [value, ...limits], { type: value.type, shape });
}

/** Axes in another order. */
export function transpose(graph: Graph, value: Value, order: readonly number[]): Value {
  if (order.length !== value.shape.length) throw mismatch('Transpose', [value]);
  const shape = order.map((axis) => value.shape[axis] ?? 1);
  return graph.node('Transpose', [value], { type: value.type, shape }, { perm: order });
}

/** Rows of a table: `[rows, width]` and indices `[…]` give `[…, width]`. */
export function gather(graph: Graph, table: Value, indices: Value): Value {
  if (table.shape.length !== 2) throw mismatch('Gather', [table]);
  const shape = [...indices.shape, ...table.shape.slice(1)];
  return graph.node('Gather', [table, indices], { type: table.type, shape }, { axis: 0 });
}

/** Slices of an axis in the order of fixed indices. */
export function gatherAlong(graph: Graph, value: Value, indices: readonly number[], axis: number): Value {
  const shape = value.shape.map((side, i) => (i === axis ? indices.length : side));
  return graph.node('Gather', [value, graph.int64s(indices)], { type: value.type, shape }, { axis });
}

/** Of each batch the rows that its indices name: `[b, n, width]` and int64 `[b, k, 1]` give `[b, k, width]`. */
export function gatherRows(graph: Graph, value: Value, indices: Value): Value {
  const [batch = 1, count = 1] = indices.shape;
  if (value.shape.length !== 3 || batch !== value.shape[0]) throw mismatch('GatherND', [value, indices]);
  const shape = [batch, count, value.shape[2] ?? 1];
  return graph.node('GatherND', [value, indices], { type: value.type, shape }, { batch_dims: 1 });
}

/** Positions along an axis, as int64, of the largest or smallest numbers, in order. */
export function topK(
  graph: Graph,
  value: Value,
  axis: number,
  { count, largest }: { count: number; largest: boolean },
): Value {
  const shape = value.shape.map((side, i) => (i === axis ? count : side));
  const [, indices] = graph.nodes(
    'TopK',
    [value, graph.int64s([count])],
    [
      { type: value.type, shape },
      { type: 'int64', shape },
    ],
    { axis, largest: largest ? 1 : 0, sorted: 1 },
  );
  if (!indices) throw mismatch('TopK', [value]);
  return indices;
}

/** `condition ? a : b`; the condition is 0 or not 0. */
export function where(graph: Graph, condition: Value, a: Value, b: Value): Value {
  const test = graph.cast(condition, 'bool');
  const shape = broadcast(broadcastOrThrow('Where', a, b), condition.shape);
  if (!shape) throw mismatch('Where', [condition, a, b]);
  return graph.node('Where', [test, a, b], { type: a.type, shape });
}

/** Batched matrix product `[…, m, k] × […, k, n]`. */
export function matmul(graph: Graph, a: Value, b: Value): Value {
  const lead = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const [m, k] = a.shape.slice(-2);
  const [inner, n] = b.shape.slice(-2);
  if (!lead || m === undefined || n === undefined || k !== inner) throw mismatch('MatMul', [a, b]);
  return graph.node('MatMul', [a, b], { type: a.type, shape: [...lead, m, n] });
}

/** `a × bᵀ + bias` of matrices `[m, k]` and `[n, k]`, the bias `[n]` or `[m, n]`: a linear layer on weights as torch stores them. */
export function gemmTransposed(graph: Graph, a: Value, b: Value, bias: Value | undefined): Value {
  const [m, k] = a.shape;
  const [n, inner] = b.shape;
  const fits = a.shape.length === 2 && b.shape.length === 2 && k === inner;
  if (!fits || m === undefined || n === undefined) throw mismatch('Gemm', [a, b]);
  return graph.node('Gemm', [a, b, ...(bias ? [bias] : [])], { type: a.type, shape: [m, n] }, { transB: 1 });
}

export type Reduction = 'ReduceMean' | 'ReduceMax' | 'ReduceMin' | 'ReduceSum';

/** A reduction over axes, which stay with size 1. */
export function reduce(graph: Graph, operator: Reduction, value: Value, axes: readonly number[]): Value {
  const shape = value.shape.map((side, axis) => (axes.includes(axis) ? 1 : side));
  return graph.node(operator, [value, graph.int64s(axes)], { type: value.type, shape }, { keepdims: 1 });
}

/** Each row (last axis) to mean 0 and variance 1, then scaled and shifted. */
export function layerNormalization(
  graph: Graph,
  value: Value,
  { scale: weight, shift, epsilon }: { scale: Value; shift: Value; epsilon: number },
): Value {
  if (weight.shape[0] !== value.shape.at(-1)) throw mismatch('LayerNormalization', [value, weight]);
  return graph.node('LayerNormalization', [value, weight, shift], value, {
    axis: -1,
    epsilon: { float: epsilon },
  });
}

/** Each channel (axis 1) of each image to mean 0 and variance 1. */
export function instanceNormalization(graph: Graph, value: Value, epsilon: number): Value {
  const channels = value.shape[1];
  if (typeof channels !== 'number') throw mismatch('InstanceNormalization', [value]);
  const ones = graph.floats(new Float32Array(channels).fill(1), [channels], 'float32');
  const zeros = graph.floats(new Float32Array(channels), [channels], 'float32');
  const inputs = [value, graph.cast(ones, value.type), graph.cast(zeros, value.type)];
  return graph.node('InstanceNormalization', inputs, value, { epsilon: { float: epsilon } });
}

/** Zeros around the axes of a value: `before` and `after` per axis. */
export function pad(graph: Graph, value: Value, before: readonly number[], after: readonly number[]): Value {
  const shape = value.shape.map((side, axis) => sum(side, (before[axis] ?? 0) + (after[axis] ?? 0)));
  return graph.node('Pad', [value, graph.int64s([...before, ...after])], { type: value.type, shape });
}

/** Height and width doubled (or more) by repeating pixels. */
export function upsampleNearest(graph: Graph, value: Value, factor: number): Value {
  const shape = value.shape.map((side, axis) => (axis > 1 ? product([factor, side]) : side));
  return graph.node(
    'Resize',
    [value, undefined, graph.floats([1, 1, factor, factor], [4], 'float32')],
    { type: value.type, shape },
    { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
  );
}

/** Height and width of another image by repeating pixels, as torch's `interpolate(size, mode="nearest")`. */
export function resizeNearest(graph: Graph, value: Value, like: Value): Value {
  const shape = [...value.shape.slice(0, 2), ...like.shape.slice(2)];
  const sizes = graph.node('Shape', [like], { type: 'int64', shape: [2] }, { start: 2, end: 4 });
  return graph.node(
    'Resize',
    [value, undefined, undefined, sizes],
    { type: value.type, shape },
    { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor', axes: [2, 3] },
  );
}

/** Groups of channels become pixels (torch's `pixel_shuffle`): `[b, c·f², h, w]` to `[b, c, f·h, f·w]`. */
export function pixelShuffle(graph: Graph, value: Value, factor: number): Value {
  const [batch, channels, height, width] = value.shape;
  if (
    typeof channels !== 'number' ||
    channels % factor ** 2 !== 0 ||
    batch === undefined ||
    !height ||
    !width
  ) {
    throw mismatch('DepthToSpace', [value]);
  }
  const shape = [batch, channels / factor ** 2, product([factor, height]), product([factor, width])];
  return graph.node('DepthToSpace', [value], { type: value.type, shape }, { blocksize: factor, mode: 'CRD' });
}

function elementwise(graph: Graph, operator: string, a: Value, b: Value): Value {
  return graph.node(operator, [a, b], { type: a.type, shape: broadcastOrThrow(operator, a, b) });
}

function broadcastOrThrow(operator: string, a: Value, b: Value): Shape {
  const shape = broadcast(a.shape, b.shape);
  if (!shape || a.type !== b.type) throw mismatch(operator, [a, b]);
  return shape;
}

function mismatch(operator: string, values: readonly Value[]): AppError {
  const operands = values.map(({ name, type, shape }) => `${name} ${type}${describeShape(shape)}`);
  return new AppError('internal', `${operator} does not fit ${operands.join(' and ')}.`);
}
