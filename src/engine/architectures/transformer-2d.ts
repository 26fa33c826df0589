import { multiHeadAttention, type AttentionOperands } from '#engine/graph/attention.ts';
import type { Graph, Value } from '#engine/graph/graph.ts';
import { conv2d, groupNorm, imageToTokens, layerNorm, linear, tokensToImage } from '#engine/graph/layers.ts';
import { add, gelu, multiply, split } from '#engine/graph/operators.ts';
import type { TokenMerger } from './token-merging.ts';

/** The images that one IP-Adapter shows to every cross-attention. */
export interface ImagePrompts {
  /** Of all its images, one after the other: `[batch, images · tokens, cross_attention_dim]`. */
  tokens: Value;
  images: number;
  /** How much they count in the block of this name, on this image. */
  shareIn: (block: string, image: Value) => ImageShare;
}

/** How much image prompts count in one block. */
interface ImageShare {
  /** Each image: `[images]`. */
  scales: Value;
  /** Each image in each place: `[images, tokens of the block, 1]`. */
  region?: Value;
}

/** Image prompts as a block sees them. */
type ShownPrompts = Pick<ImagePrompts, 'tokens' | 'images'> & ImageShare;

export interface TransformerSettings {
  heads: number;
  layers: number;
  groups: number;
  linearProjection: boolean;
  onlyCrossAttention: boolean;
  /** Scores in float32 also in float16 graphs (SD 2.1). */
  upcastAttention: boolean;
}

/** What the transformer attends to besides the image. */
export interface TransformerContext {
  /** The prompt: `[batch, tokens, cross_attention_dim]`. */
  text: Value;
  /** One for each IP-Adapter. */
  imagePrompts?: readonly ImagePrompts[];
  merger?: TokenMerger | undefined;
  /** Is handed what each attention of the image to itself compares. */
  watch?: (operands: Omit<AttentionOperands, 'value'>) => void;
}

/**
 * Diffusers' Transformer2DModel: the image as tokens through transformer blocks, around a shortcut.
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
  const prompts = (context.imagePrompts ?? []).map((each) => ({ ...each, ...each.shareIn(name, input) }));
  for (let layer = 0; layer < settings.layers; layer++) {
    tokens = transformerBlock(
      graph,
      { tokens, image: input },
      `${name}.transformer_blocks.${layer}`,
      settings,
      { ...context, prompts },
    );
  }
  const image = settings.linearProjection
    ? tokensToImage(graph, linear(graph, tokens, `${name}.proj_out`, { out: width }), input)
    : conv2d(graph, tokensToImage(graph, tokens, input), `${name}.proj_out`, { out: width, kernel: 1 });
  return add(graph, image, input);
}

/**
 * Diffusers' BasicTransformerBlock: self-attention, cross-attention, GEGLU, each after a layer norm. `image` is
 * the image the tokens are of.
 */
function transformerBlock(
  graph: Graph,
  { tokens, image }: { tokens: Value; image: Value },
  name: string,
  settings: TransformerSettings,
  context: TransformerContext & { prompts: readonly ShownPrompts[] },
): Value {
  const pairs = context.merger?.fits(image) ? context.merger.pair(graph, tokens, image) : undefined;
  const normed = layerNorm(graph, tokens, `${name}.norm1`, 1e-5);
  const seen = pairs ? pairs.merge(normed) : normed;
  const selfAttended = attention(graph, seen, `${name}.attn1`, settings, {
    text: settings.onlyCrossAttention ? context.text : seen,
    ...(context.watch && { watch: context.watch }),
  });
  let hidden = add(graph, tokens, pairs ? pairs.unmerge(selfAttended) : selfAttended);
  const queries = layerNorm(graph, hidden, `${name}.norm2`, 1e-5);
  hidden = add(
    graph,
    hidden,
    attention(graph, queries, `${name}.attn2`, settings, {
      text: context.text,
      prompts: context.prompts,
    }),
  );
  const fed = feedForward(graph, layerNorm(graph, hidden, `${name}.norm3`, 1e-5), `${name}.ff`);
  return add(graph, hidden, fed);
}

/** Attention of tokens to a text, and to the tokens of image prompts with keys and values of their own. */
function attention(
  graph: Graph,
  tokens: Value,
  name: string,
  { heads, upcastAttention }: TransformerSettings,
  {
    text,
    prompts = [],
    watch,
  }: Pick<TransformerContext, 'text' | 'watch'> & { prompts?: readonly ShownPrompts[] },
): Value {
  const width = Number(tokens.shape[2]);
  const precision = upcastAttention ? 'float32' : graph.precision;
  const project = (source: Value, projection: string) =>
    graph.cast(linear(graph, source, `${name}.${projection}`, { out: width, bias: false }), precision);
  const query = project(tokens, 'to_q');
  const attend = (key: Value, value: Value) =>
    graph.cast(multiHeadAttention(graph, { query, key, value, heads }), graph.precision);
  const [key, value] = [project(text, 'to_k'), project(text, 'to_v')];
  watch?.({ query, key, heads });
  let attended = attend(key, value);
  prompts.forEach(({ tokens: source, scales, region, images }, index) => {
    const regions = region && split(graph, region, images, 0);
    const keys = split(graph, project(source, `processor.to_k_ip.${index}`), images, 1);
    const values = split(graph, project(source, `processor.to_v_ip.${index}`), images, 1);
    split(graph, scales, images, 0).forEach((weight, image) => {
      const [imageKey, imageValue] = [keys[image], values[image]];
      if (!imageKey || !imageValue) return;
      const shown = multiply(graph, attend(imageKey, imageValue), weight);
      const part = regions?.[image];
      attended = add(graph, attended, part ? multiply(graph, shown, part) : shown);
    });
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
