import { Graph, type BuiltGraph } from '#engine/graph/graph.ts';
import { conv2d, imageToTokens, layerNorm, linear } from '#engine/graph/layers.ts';
import { add, pad, slice } from '#engine/graph/operators.ts';
import { AppError } from '#protocol/error.ts';
import type { BuildOptions } from './build-options.ts';
import { clipEncoder, readClipSizes } from './clip-layers.ts';
import { ConfigReader, type ConfigJson } from './config.ts';

/**
 * - `image_embeds`: the image's embedding, projected (IP-Adapter, CLIP scores)
 * - `hidden_states.N`: after N layers; the one before the last feeds IP-Adapter Plus
 */
export type ClipVisionOutput = 'image_embeds' | `hidden_states.${number}`;

export interface ClipVisionOptions extends BuildOptions {
  /**
   * By default what IP-Adapters read: the embedding, where the weights have its projection, and the hidden states after the last
   * layer but one (tencent-ailab/IP-Adapter, ip_adapter/ip_adapter.py, `get_image_embeds`).
   */
  imageOutputs?: readonly ClipVisionOutput[];
}

/**
 * Transformers' CLIPVisionModelWithProjection. Input `pixel_values` float32 [batch, 3, image_size, image_size],
 * normalised as CLIP wants them. Source: transformers, models/clip/modeling_clip.py.
 *
 * @throws AppError `unsupported_feature` for configurations it cannot build, `invalid_request` for wrong ones
 */
export function buildClipVision(json: ConfigJson, options: ClipVisionOptions): BuiltGraph {
  const config = new ConfigReader(json, 'CLIPVisionModel');
  const sizes = readClipSizes(config, { width: 768, intermediate: 3072, heads: 12 });
  const patch = config.number('patch_size', 32);
  const side = config.number('image_size', 224);
  const patches = Math.floor(side / patch) ** 2;
  const { width, epsilon } = sizes;

  const graph = new Graph({ ...options, name: 'image_encoder' });
  const name = 'vision_model';
  const pixels = graph.input('pixel_values', 'float32', [
    'batch',
    config.number('num_channels', 3),
    side,
    side,
  ]);
  const embedded = conv2d(graph, pixels, `${name}.embeddings.patch_embedding`, {
    out: width,
    kernel: patch,
    stride: patch,
    padding: 0,
    bias: false,
  });
  // The class token is added to a row of zeros before the patches: to repeat it for an open batch would need Expand.
  const tokens = pad(graph, imageToTokens(graph, embedded), [0, 1, 0], [0, 0, 0]);
  const classToken = graph.parameter(`${name}.embeddings.class_embedding`, [width], [1, width]);
  const firstRow = pad(graph, classToken, [0, 0], [patches, 0]);
  const positions = graph.parameter(`${name}.embeddings.position_embedding.weight`, [patches + 1, width]);
  const input = layerNorm(
    graph,
    add(graph, tokens, add(graph, positions, firstRow)),
    `${name}.pre_layrnorm`,
    epsilon,
  );
  const states = clipEncoder(graph, input, `${name}.encoder`, sizes);

  const isProjected = options.weights.info('visual_projection.weight') !== undefined;
  const usual = [
    ...(isProjected ? ['image_embeds' as const] : []),
    `hidden_states.${sizes.layers - 1}` as const,
  ];
  for (const output of options.imageOutputs ?? usual) {
    if (output === 'image_embeds') {
      const last = states.at(-1) ?? input;
      const first = graph.reshape(slice(graph, last, 1, { start: 0, end: 1, size: 1 }), ['batch', width]);
      const pooled = layerNorm(graph, first, `${name}.post_layernorm`, epsilon);
      const out = config.number('projection_dim', 512);
      graph.output(output, linear(graph, pooled, 'visual_projection', { out, bias: false }));
    } else {
      const state = states[Number(output.split('.')[1])];
      if (!state)
        throw new AppError('invalid_request', `The image encoder has ${sizes.layers} layers: no ${output}.`);
      graph.output(output, state);
    }
  }
  return graph.build();
}
