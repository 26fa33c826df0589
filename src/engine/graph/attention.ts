import { AppError } from '#protocol/error.ts';
import { describeShape } from './dimension.ts';
import type { Graph, Value } from './graph.ts';
import { matmul, reduce, scale, softmax, transpose } from './operators.ts';

/** Operands of attention, `[batch, tokens, heads·size]` each. */
export interface AttentionOperands {
  query: Value;
  key: Value;
  value: Value;
  heads: number;
  /** Added to the scores: `[1 or batch, 1 or heads, queries, keys]`. */
  bias?: Value;
}

/** Scores that one slice of the queries may have: 64 MiB of them. */
const SCORES_PER_SLICE = 2 ** 24;

/**
 * Scaled dot-product attention of `[batch, tokens, heads·size]` queries, keys and values, fused
 * (com.microsoft.MultiHeadAttention). In graphs that slice attention, the queries of an image's attention to itself go
 * through it in as many slices as memory needs.
 */
export function multiHeadAttention(graph: Graph, operands: AttentionOperands): Value {
  const { query, key, value, heads, bias } = operands;
  const [, queries, width] = query.shape;
  const fits =
    typeof width === 'number' &&
    width % heads === 0 &&
    key.shape[2] === width &&
    key.shape[1] === value.shape[1] &&
    typeof value.shape[2] === 'number';
  if (!fits) {
    const shapes = [query, key, value].map(({ name, shape }) => `${name} ${describeShape(shape)}`);
    throw new AppError('internal', `MultiHeadAttention does not fit ${shapes.join(' and ')}.`);
  }
  const isOfImage = bias === undefined && queries === key.shape[1];
  return graph.slicesAttention && isOfImage
    ? slicedAttention(graph, operands, width / heads)
    : fusedAttention(graph, operands);
}

function fusedAttention(graph: Graph, { query, key, value, heads, bias }: AttentionOperands): Value {
  const inputs = bias ? [query, key, value, undefined, undefined, bias] : [query, key, value];
  const shape = [...query.shape.slice(0, 2), value.shape[2] ?? 1];
  return graph.node(
    'MultiHeadAttention',
    inputs,
    { type: query.type, shape },
    { num_heads: heads },
    'com.microsoft',
  );
}

/**
 * The same by slices of the queries, one after the other in a `Scan`. ONNX Runtime's CPU kernel holds all scores at once
 * and counts 2·size·queries·keys operations in 32 bits on wasm (contrib_ops/cpu/bert/attention_cpu_base.h, `ComputeAttentionProbs`),
 * which 6144 tokens of SD 1.5 or 4096 of a VAE overflow. How many slices there are is worked out when the graph runs.
 */
function slicedAttention(graph: Graph, operands: AttentionOperands, headSize: number): Value {
  const { query, key, value, heads } = operands;
  const [batch = 1, tokens = 1] = query.shape;
  const width = value.shape[2] ?? 1;
  // Keeps 2·size·queries·keys below 2³⁰ in a slice.
  const heaviest = Math.ceil(headSize / 32);
  if (typeof tokens === 'number' && typeof batch === 'number') {
    if (tokens * tokens * Math.max(batch * heads, heaviest) < SCORES_PER_SLICE) {
      return fusedAttention(graph, operands);
    }
  }
  const number = (operator: string, ...inputs: [Value, ...Value[]]) =>
    graph.node(operator, inputs, { type: 'int64', shape: [1] });
  const constant = (n: number) => graph.int64s([n]);
  const sideOf = (side: string | number) =>
    typeof side === 'number' ? constant(side) : graph.sideTensor(side);
  const vector = (...parts: Value[]) =>
    graph.node('Concat', parts, { type: 'int64', shape: [4] }, { axis: 0 });

  const count = sideOf(tokens);
  const rows = number('Max', number('Mul', sideOf(batch), constant(heads)), constant(heaviest));
  const scores = number('Mul', number('Mul', count, count), rows);
  const slices = number('Add', number('Div', scores, constant(SCORES_PER_SLICE)), constant(1));
  const length = number('Div', number('Add', count, number('Sub', slices, constant(1))), slices);
  const missing = number('Sub', number('Mul', slices, length), count);

  const pads = vector(graph.int64s([0, 0, 0, 0]), missing, constant(0));
  const whole = graph.node('Pad', [query, pads], {
    type: query.type,
    shape: [batch, 'padded_rows', query.shape[2] ?? 1],
  });
  const parts = graph.node(
    'Reshape',
    [whole, vector(constant(0), slices, graph.int64s([-1, Number(query.shape[2])]))],
    { type: query.type, shape: [batch, 'slices', 'rows_of_slice', query.shape[2] ?? 1] },
  );
  const attended = graph.scan(parts, 1, (slice) =>
    fusedAttention(graph, { ...operands, query: slice, key, value }),
  );
  const joined = graph.node('Reshape', [attended, graph.int64s([0, -1, Number(width)])], {
    type: query.type,
    shape: [batch, 'padded_rows', width],
  });
  return graph.node('Slice', [joined, constant(0), count, constant(1)], {
    type: query.type,
    shape: [batch, tokens, width],
  });
}

/**
 * How much attention falls on each key: the probabilities summed over the queries, the mean of the heads, `[batch, keys]`.
 * Holds all scores at once.
 */
export function attentionPerKey(
  graph: Graph,
  { query, key, heads }: Omit<AttentionOperands, 'value'>,
): Value {
  const [batch = 1, tokens = 1] = key.shape;
  const size = Number(query.shape[2]) / heads;
  const byHead = (value: Value) => graph.reshape(value, [batch, value.shape[1] ?? 1, heads, size]);
  const queries = scale(graph, transpose(graph, byHead(query), [0, 2, 1, 3]), 1 / Math.sqrt(size));
  const probabilities = softmax(graph, matmul(graph, queries, transpose(graph, byHead(key), [0, 2, 3, 1])));
  const sums = reduce(graph, 'ReduceSum', probabilities, [2]);
  return graph.reshape(reduce(graph, 'ReduceMean', sums, [1]), [batch, tokens]);
}
