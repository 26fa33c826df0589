import type { Graph, Value } from '#engine/graph/graph.ts';
import { conv2d, groupNorm, imageToTokens, layerNorm, linear, tokensToImage } from '#engine/graph/layers.ts';
import { add, gelu, multiHeadAttention, multiply, split } from '#engine/graph/operators.ts';
import type { TokenMerger } from './token-merging.ts';

/** Tokens of IP-Adapter pictures that every cross-attention also looks at. */
export interface ImagePrompt {
  /** `[batch, tokens, cross_attention_dim]` per adapter. */
  tokens: readonly Value[];
  /** How much each adapter counts: `[1]` per adapter. */
  scales: readonly Value[];
}

export interface TransformerSettings {
  heads: number;
  layers: number;
  groups: number;
  linearProjection: boolean;
  onlyCrossAttention: boolean;
  /** Scores in float32 also in float16 graphs (SD 2.1). */
  upcastAttention: boolean;
}

/** What the transformer attends to besides the picture. */
export interface TransformerContext {
  /** The prompt: `[batch, tokens, cross_attention_dim]`. */
  text: Value;
  image?: ImagePrompt | undefined;
  merger?: TokenMerger | undefined;
}

/**
 * Diffusers' Transformer2DModel: the picture as tokens through transformer blocks, around a shortcut.
 * Source: diffusers, models/transformers/transformer_2d.py.
 */
export function transformer2d(
  graph: Graph,
  input: Value,
  name: string,
  settings: TransformerSettings,
  context: TransformerContext,
): Value {
  const width = Number(input.shape[1]);
  const normed = groupNorm(graph, input, `${name}.norm`, { groups: settings.groups, epsilon: 1e-6 });
  let tokens = settings.linearProjection
    ? linear(graph, imageToTokens(graph, normed), `${name}.proj_in`, { out: width })
    : imageToTokens(graph, conv2d(graph, normed, `${name}.proj_in`, { out: width, kernel: 1 }));
  for (let layer = 0; layer < settings.layers; layer++) {
    tokens = transformerBlock(graph, tokens, `${name}.transformer_blocks.${layer}`, settings, {
      ...context,
      merger: context.merger?.fits(input) ? context.merger : undefined,
    });
  }
  const image = settings.linearProjection
    ? tokensToImage(graph, linear(graph, tokens, `${name}.proj_out`, { out: width }), input)
    : conv2d(graph, tokensToImage(graph, tokens, input), `${name}.proj_out`, { out: width, kernel: 1 });
  return add(graph, image, input);
}

/** Diffusers' BasicTransformerBlock: self-attention, cross-attention, GEGLU, each after a layer norm. */
function transformerBlock(
  graph: Graph,
  input: Value,
  name: string,
  { heads, onlyCrossAttention }: TransformerSettings,
  { text, image, merger }: TransformerContext,
): Value {
  const normed = layerNorm(graph, input, `${name}.norm1`, 1e-5);
  let hidden: Value;
  if (onlyCrossAttention) {
    hidden = add(graph, input, attention(graph, normed, `${name}.attn1`, { heads, context: text }));
  } else if (merger) {
    const { merged, unmerge } = merger.merge(graph, normed);
    hidden = add(
      graph,
      input,
      unmerge(attention(graph, merged, `${name}.attn1`, { heads, context: merged })),
    );
  } else {
    hidden = add(graph, input, attention(graph, normed, `${name}.attn1`, { heads, context: normed }));
  }
  const queries = layerNorm(graph, hidden, `${name}.norm2`, 1e-5);
  hidden = add(graph, hidden, attention(graph, queries, `${name}.attn2`, { heads, context: text, image }));
  return add(
    graph,
    hidden,
    feedForward(graph, layerNorm(graph, hidden, `${name}.norm3`, 1e-5), `${name}.ff`),
  );
}

/** Attention of tokens to a context, and to the tokens of image prompts with keys and values of their own. */
function attention(
  graph: Graph,
  tokens: Value,
  name: string,
  { heads, context, image }: { heads: number; context: Value; image?: ImagePrompt | undefined },
): Value {
  const width = Number(tokens.shape[2]);
  const query = linear(graph, tokens, `${name}.to_q`, { out: width, bias: false });
  const attend = (source: Value, key: string, value: string) =>
    multiHeadAttention(graph, {
      query,
      key: linear(graph, source, key, { out: width, bias: false }),
      value: linear(graph, source, value, { out: width, bias: false }),
      heads,
    });
  let attended = attend(context, `${name}.to_k`, `${name}.to_v`);
  image?.tokens.forEach((source, index) => {
    const adapter = attend(
      source,
      `${name}.processor.to_k_ip.${index}`,
      `${name}.processor.to_v_ip.${index}`,
    );
    const weight = image.scales[index];
    attended = add(graph, attended, weight ? multiply(graph, adapter, weight) : adapter);
  });
  return linear(graph, attended, `${name}.to_out.0`, { out: width });
}

/** Diffusers' FeedForward with GEGLU: one half times the GELU of the other, four times as wide as the tokens. */
function feedForward(graph: Graph, tokens: Value, name: string): Value {
  const width = Number(tokens.shape[2]);
  const projected = linear(graph, tokens, `${name}.net.0.proj`, { out: 8 * width });
  const [hidden, gate = hidden] = split(graph, projected, 2, -1);
  return linear(graph, multiply(graph, hidden, gelu(graph, gate)), `${name}.net.2`, { out: width });
}
