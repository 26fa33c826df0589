import { multiHeadAttention } from '#engine/graph/attention.ts';
import type { Dimension } from '#engine/graph/dimension.ts';
import type { Graph, Value } from '#engine/graph/graph.ts';
import { activate, layerNorm, linear } from '#engine/graph/layers.ts';
import { add, equal, matmul, maximum, multiply, reduce, subtract } from '#engine/graph/operators.ts';
import type { ConfigReader } from './config.ts';

/** What CLIP's two transformers have in common. */
export interface ClipSizes {
  width: number;
  intermediate: number;
  layers: number;
  heads: number;
  epsilon: number;
  activation: Parameters<typeof activate>[2];
}

/** Reads the sizes of a CLIPTextConfig or CLIPVisionConfig; fallbacks are the reference's defaults. */
export function readClipSizes(
  config: ConfigReader,
  defaults: { width: number; intermediate: number; heads: number },
): ClipSizes {
  return {
    width: config.number('hidden_size', defaults.width),
    intermediate: config.number('intermediate_size', defaults.intermediate),
    layers: config.number('num_hidden_layers', 12),
    heads: config.number('num_attention_heads', defaults.heads),
    epsilon: config.number('layer_norm_eps', 1e-5),
    activation: config.activation('hidden_act', 'quick_gelu'),
  };
}

/**
 * The encoder's layers on `[batch, tokens, width]`. Returns every hidden state, the input first, as transformers
 * numbers them. `mask` is added to the attention scores.
 */
export function clipEncoder(
  graph: Graph,
  input: Value,
  name: string,
  sizes: ClipSizes,
  mask?: Value,
): Value[] {
  const states = [input];
  let hidden = input;
  for (let index = 0; index < sizes.layers; index++) {
    hidden = clipLayer(graph, hidden, `${name}.layers.${index}`, sizes, mask);
    states.push(hidden);
  }
  return states;
}

/** Transformers' CLIPEncoderLayer: attention, then a two-layer perceptron, each after a layer norm. */
function clipLayer(graph: Graph, input: Value, name: string, sizes: ClipSizes, mask?: Value): Value {
  const { width, heads, epsilon } = sizes;
  const normed = layerNorm(graph, input, `${name}.layer_norm1`, epsilon);
  const attended = multiHeadAttention(graph, {
    query: linear(graph, normed, `${name}.self_attn.q_proj`, { out: width }),
    key: linear(graph, normed, `${name}.self_attn.k_proj`, { out: width }),
    value: linear(graph, normed, `${name}.self_attn.v_proj`, { out: width }),
    heads,
    ...(mask && { bias: mask }),
  });
  const hidden = add(graph, input, linear(graph, attended, `${name}.self_attn.out_proj`, { out: width }));
  const inner = linear(graph, layerNorm(graph, hidden, `${name}.layer_norm2`, epsilon), `${name}.mlp.fc1`, {
    out: sizes.intermediate,
  });
  const outer = linear(graph, activate(graph, inner, sizes.activation), `${name}.mlp.fc2`, { out: width });
  return add(graph, hidden, outer);
}

/** Scores of later tokens pushed out of the softmax: `[1, 1, tokens, tokens]`. */
export function causalMask(graph: Graph, tokens: number): Value {
  // The least float16: beyond any score, and its exponential is 0 in either precision.
  const mask = new Float32Array(tokens * tokens);
  for (let row = 0; row < tokens; row++) mask.fill(-65504, row * tokens + row + 1, (row + 1) * tokens);
  return graph.floats(mask, [1, 1, tokens, tokens]);
}

/** One token of each sequence, given as a row of 0 … 1 … 0: `[batch, tokens, width]` to `[batch, width]`. */
export function pickToken(graph: Graph, { hidden, picked }: { hidden: Value; picked: Value }): Value {
  const [batch = 1, tokens = 1, width = 1] = hidden.shape;
  const row: Dimension[] = [batch, 1, tokens];
  const product = graph.node('MatMul', [graph.reshape(picked, row), hidden], {
    type: hidden.type,
    shape: [batch, 1, width],
  });
  return graph.reshape(product, [batch, width]);
}

/**
 * 1 at the first end-of-text token of each sequence, else 0: [batch, tokens]. Configurations from before
 * transformers 4.29 give `eos_token_id` 2 and mean the largest id. Written without ArgMax, which has no WebGPU kernel.
 */
export function endOfText(graph: Graph, ids: Value, config: ConfigReader): Value {
  const tokens = Number(ids.shape[1]);
  const id = config.number('eos_token_id', 49407);
  // Ids are whole numbers below 2^24: exact in float32, not in float16.
  const numbers = graph.cast(ids, 'float32');
  const target = id === 2 ? reduce(graph, 'ReduceMax', numbers, [1]) : graph.floats([id], [], 'float32');
  const ends = equal(graph, numbers, target);
  const before = new Float32Array(tokens * tokens);
  for (let row = 0; row < tokens; row++) before.fill(1, row * tokens + row + 1, (row + 1) * tokens);
  const earlier = matmul(graph, ends, graph.floats(before, [tokens, tokens], 'float32'));
  const isFirst = maximum(
    graph,
    subtract(graph, graph.floats([1], [], 'float32'), earlier),
    graph.floats([0], [], 'float32'),
  );
  return graph.cast(multiply(graph, ends, isFirst), graph.precision);
}
