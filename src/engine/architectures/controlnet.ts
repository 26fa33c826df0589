import { product } from '#engine/graph/dimension.ts';
import { Graph, type BuiltGraph, type Value } from '#engine/graph/graph.ts';
import { conv2d } from '#engine/graph/layers.ts';
import { add, multiply, reduce, scale, silu } from '#engine/graph/operators.ts';
import type { BuildOptions } from './build-options.ts';
import { ConfigReader, type ConfigJson } from './config.ts';
import {
  downBlocks,
  embedTime,
  midBlock,
  readUnetSizes,
  unetInputs,
  type LatentSize,
} from './unet-encoder.ts';

export interface ControlNetOptions extends BuildOptions {
  /** Fixed sides; those left out stay open until a session or a run sets them. */
  size?: LatentSize;
  /** Every convolution takes its borders from the opposite side: images that tile. */
  tiling?: boolean;
}

/**
 * Diffusers' ControlNetModel: a copy of the UNet's down and mid blocks that looks at an image of edges, depth,
 * poses … Inputs as those of the UNet (without its options), `controlnet_cond` float32 [batch, 3, 8·height,
 * 8·width] in 0 … 1 and `conditioning_scale` float32 [1]; outputs `down_block_residual_0 …` and
 * `mid_block_residual`, which add up over several ControlNets and go into a UNet built with `controlNet`.
 * Source: diffusers, models/controlnets/controlnet.py.
 *
 * @throws AppError `unsupported_feature` for configurations it cannot build, `invalid_request` for wrong ones
 */
export function buildControlNet(json: ConfigJson, options: ControlNetOptions): BuiltGraph {
  const config = new ConfigReader(json, 'ControlNetModel');
  const pooled = config.boolean('global_pool_conditions', false);
  const sizes = readUnetSizes(config);
  const graph = new Graph({ ...options, name: 'controlnet', circular: options.tiling ?? false });
  const { sample, timestep, text, batch } = unetInputs(graph, sizes, {
    channels: config.number('in_channels', 4),
    size: options.size,
  });
  const strength = graph.input('conditioning_scale', 'float32', [1]);

  const time = embedTime(graph, config, { sizes, timestep, batch });
  const latents = conv2d(graph, sample, 'conv_in', { out: sizes.channels[0] ?? 0 });
  const input = add(graph, latents, embedCondition(graph, config, { sample, out: sizes.channels[0] ?? 0 }));
  const context = { text };
  const down = downBlocks(graph, input, { sizes, time, context });
  const mid = midBlock(graph, down.hidden, { sizes, time, context });

  const residual = (value: Value, name: string) => {
    const scaled = multiply(
      graph,
      conv2d(graph, value, name, { out: Number(value.shape[1]), kernel: 1 }),
      strength,
    );
    // The mean of the whole image (Shuffle), spread over it again so that residuals keep one shape.
    return pooled ? add(graph, scale(graph, scaled, 0), reduce(graph, 'ReduceMean', scaled, [2, 3])) : scaled;
  };
  down.skips.forEach((skip, index) =>
    graph.output(`down_block_residual_${index}`, residual(skip, `controlnet_down_blocks.${index}`)),
  );
  graph.output('mid_block_residual', residual(mid, 'controlnet_mid_block'));
  return graph.build();
}

/** Diffusers' ControlNetConditioningEmbedding: the image, made as small as the latents. */
function embedCondition(
  graph: Graph,
  config: ConfigReader,
  { sample, out }: { sample: Value; out: number },
): Value {
  config.word('controlnet_conditioning_channel_order', ['rgb'], 'rgb');
  const channels = config.numbers('conditioning_embedding_out_channels', [16, 32, 96, 256]);
  const [batch = 1, , height = 1, width = 1] = sample.shape;
  const factor = 2 ** (channels.length - 1);
  const image = graph.input('controlnet_cond', 'float32', [
    batch,
    config.number('conditioning_channels', 3),
    product([factor, height]),
    product([factor, width]),
  ]);
  const name = 'controlnet_cond_embedding';
  let hidden = silu(graph, conv2d(graph, image, `${name}.conv_in`, { out: channels[0] ?? 0 }));
  channels.slice(1).forEach((larger, index) => {
    const same = conv2d(graph, hidden, `${name}.blocks.${2 * index}`, { out: channels[index] ?? 0 });
    const smaller = conv2d(graph, silu(graph, same), `${name}.blocks.${2 * index + 1}`, {
      out: larger,
      stride: 2,
    });
    hidden = silu(graph, smaller);
  });
  return conv2d(graph, hidden, `${name}.conv_out`, { out });
}
