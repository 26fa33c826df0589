import { multiHeadAttention } from '#engine/graph/attention.ts';
import type { Graph, Value } from '#engine/graph/graph.ts';
import {
  groupNorm,
  imageToTokens,
  linear,
  tokensToImage,
  type NormaliseGroups,
} from '#engine/graph/layers.ts';
import { add } from '#engine/graph/operators.ts';

/**
 * Self-attention of an image's cells after a group norm, around a shortcut: diffusers' Attention as autoencoders
 * and the `Attn…Block2D` blocks use it.
 */
export function attentionBlock(
  graph: Graph,
  input: Value,
  name: string,
  { heads, ...norm }: { heads: number; groups: number; epsilon: number; normalise?: NormaliseGroups },
): Value {
  const out = Number(input.shape[1]);
  const tokens = imageToTokens(graph, groupNorm(graph, input, `${name}.group_norm`, norm));
  const attended = multiHeadAttention(graph, {
    query: linear(graph, tokens, `${name}.to_q`, { out }),
    key: linear(graph, tokens, `${name}.to_k`, { out }),
    value: linear(graph, tokens, `${name}.to_v`, { out }),
    heads,
  });
  return add(graph, tokensToImage(graph, linear(graph, attended, `${name}.to_out.0`, { out }), input), input);
}
