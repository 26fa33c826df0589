import { multiHeadAttention } from '#engine/graph/attention.ts';
import type { Dimension } from '#engine/graph/dimension.ts';
import { Graph, type BuiltGraph, type Value } from '#engine/graph/graph.ts';
import { layerNorm, linear } from '#engine/graph/layers.ts';
import { add, concat, gelu, scale, slice, split } from '#engine/graph/operators.ts';
import type { BuildOptions } from './build-options.ts';
import { ConfigReader, type ConfigJson } from './config.ts';

/*
 * What turns CLIP's view of an image into the tokens a UNet built with `ipAdapters` looks at.
 * Source: tencent-ailab/IP-Adapter, ip_adapter/ip_adapter.py and resampler.py; weights by the names of its files.
 */

/**
 * The UNet's cross-attentions in the order in which IP-Adapter files number them (`ip_adapter.1.to_k_ip.weight`,
 * then 3, 5 …): down blocks, up blocks, mid block. Gives the diffusers name of each one's module.
 */
export function ipAdapterModules(unet: ConfigJson): string[] {
  const config = new ConfigReader(unet, 'UNet2DConditionModel');
  const down = config.list('down_block_types');
  const layers = config.perBlock('layers_per_block', down.length, 2);
  const depths = config.perBlock('transformer_layers_per_block', down.length, 1);
  const modules: string[] = [];
  const push = (name: string, attentions: number, depth: number) => {
    for (let attention = 0; attention < attentions; attention++) {
      for (let block = 0; block < depth; block++) {
        modules.push(`${name}.attentions.${attention}.transformer_blocks.${block}.attn2`);
      }
    }
  };
  down.forEach((type, block) => {
    if (type === 'CrossAttnDownBlock2D') push(`down_blocks.${block}`, layers[block] ?? 0, depths[block] ?? 0);
  });
  config.list('up_block_types').forEach((type, block) => {
    const mirrored = down.length - 1 - block;
    const attentions = (layers[mirrored] ?? 0) + 1;
    if (type === 'CrossAttnUpBlock2D') push(`up_blocks.${block}`, attentions, depths[mirrored] ?? 0);
  });
  push('mid_block', 1, depths.at(-1) ?? 1);
  return modules;
}

export interface IpAdapterProjectionOptions extends BuildOptions {
  /** Tokens of CLIP's hidden state; left out, they stay open. */
  patches?: number;
}

/**
 * The projection in an IP-Adapter file, whichever it is:
 * - plain: `image_embeds` float32 [batch, embedding] through one linear layer and a norm;
 * - Full: `hidden_states` [batch, patches + 1, width] through a perceptron;
 * - Plus: `hidden_states` (the last but one of CLIP) through a resampler with learned queries.
 *
 * Output `ip_hidden_states` [batch, tokens, cross_attention_dim]. Of the configuration only `cross_attention_dim`
 * is read; sizes are those of the weights (`image_proj.*`).
 */
export function buildIpAdapterProjection(json: ConfigJson, options: IpAdapterProjectionOptions): BuiltGraph {
  const config = new ConfigReader(json, 'IP-Adapter');
  const graph = new Graph({ ...options, name: 'image_projection' });
  const { patches = 'patches' } = options;
  const tokens = graph.weights.has('image_proj.latents')
    ? resample(graph, patches)
    : graph.weights.has('image_proj.proj.0.weight')
      ? projectPatches(graph, patches)
      : projectEmbedding(graph, config.number('cross_attention_dim'));
  graph.output('ip_hidden_states', tokens);
  return graph.build();
}

function projectEmbedding(graph: Graph, width: number): Value {
  const [out = 0, embedding = 0] = graph.weights.info('image_proj.proj.weight').shape;
  const input = graph.input('image_embeds', 'float32', ['batch', embedding]);
  const projected = linear(graph, input, 'image_proj.proj', { out });
  return layerNorm(graph, graph.reshape(projected, ['batch', out / width, width]), 'image_proj.norm', 1e-5);
}

function projectPatches(graph: Graph, patches: Dimension): Value {
  const [inner = 0, width = 0] = graph.weights.info('image_proj.proj.0.weight').shape;
  const out = graph.weights.info('image_proj.proj.2.weight').shape[0] ?? 0;
  const input = graph.input('hidden_states', 'float32', ['batch', patches, width]);
  const hidden = gelu(graph, linear(graph, input, 'image_proj.proj.0', { out: inner }));
  return layerNorm(graph, linear(graph, hidden, 'image_proj.proj.2', { out }), 'image_proj.proj.3', 1e-5);
}

/** The perceiver resampler: queries attend to the image and to themselves. Heads are 64 wide. */
function resample(graph: Graph, patches: Dimension): Value {
  const name = 'image_proj';
  const [, count = 0, width = 0] = graph.weights.info(`${name}.latents`).shape;
  const [out = 0] = graph.weights.info(`${name}.proj_out.weight`).shape;
  const features = graph.weights.info(`${name}.proj_in.weight`).shape[1] ?? 0;
  const input = graph.input('hidden_states', 'float32', ['batch', patches, features]);
  const image = linear(graph, input, `${name}.proj_in`, { out: width });

  // Repeated for each image of the batch by adding a row of zeros made from the image.
  const zeros = scale(graph, slice(graph, image, 1, { start: 0, end: 1, size: 1 }), 0);
  let latents = add(graph, zeros, graph.parameter(`${name}.latents`, [1, count, width]));
  for (let layer = 0; graph.weights.has(`${name}.layers.${layer}.0.to_q.weight`); layer++) {
    const block = `${name}.layers.${layer}`;
    const inner = graph.weights.info(`${block}.0.to_q.weight`).shape[0] ?? 0;
    const queries = layerNorm(graph, latents, `${block}.0.norm2`, 1e-5);
    const keys = concat(graph, [layerNorm(graph, image, `${block}.0.norm1`, 1e-5), queries], 1);
    const projected = linear(graph, keys, `${block}.0.to_kv`, { out: 2 * inner, bias: false });
    const [key, value = key] = split(graph, projected, 2, 2);
    const attended = multiHeadAttention(graph, {
      query: linear(graph, queries, `${block}.0.to_q`, { out: inner, bias: false }),
      key,
      value,
      heads: inner / 64,
    });
    latents = add(graph, latents, linear(graph, attended, `${block}.0.to_out`, { out: width, bias: false }));
    const wide = graph.weights.info(`${block}.1.1.weight`).shape[0] ?? 0;
    const normed = layerNorm(graph, latents, `${block}.1.0`, 1e-5);
    const hidden = gelu(graph, linear(graph, normed, `${block}.1.1`, { out: wide, bias: false }));
    latents = add(graph, latents, linear(graph, hidden, `${block}.1.3`, { out: width, bias: false }));
  }
  return layerNorm(graph, linear(graph, latents, `${name}.proj_out`, { out }), `${name}.norm_out`, 1e-5);
}
