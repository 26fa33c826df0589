import { product } from '#engine/graph/dimension.ts';
import { Graph, type BuiltGraph, type Value } from '#engine/graph/graph.ts';
import { activate, conv2d, groupNorm } from '#engine/graph/layers.ts';
import { split, upsampleNearest } from '#engine/graph/operators.ts';
import { AppError } from '#protocol/error.ts';
import { attentionBlock } from './attention-block.ts';
import type { BuildOptions } from './build-options.ts';
import { ConfigReader, type ConfigJson } from './config.ts';
import { resnetBlock, type ResnetSettings } from './resnet.ts';
import { downsample, type LatentSize } from './unet-encoder.ts';

export interface AutoencoderOptions extends BuildOptions {
  /** Fixed sides of the latents; those left out stay open. */
  size?: LatentSize;
  /** Every convolution takes its borders from the opposite side: images that tile. */
  tiling?: boolean;
}

const DOWN_BLOCKS = ['DownEncoderBlock2D', 'AttnDownEncoderBlock2D'] as const;
const UP_BLOCKS = ['UpDecoderBlock2D', 'AttnUpDecoderBlock2D'] as const;

interface Sizes {
  channels: readonly number[];
  layers: number;
  latentChannels: number;
  midAttention: boolean;
  resnet: ResnetSettings;
}

/**
 * The encoder of diffusers' AutoencoderKL: `sample` float32 [batch, 3, 8·height, 8·width] in -1 … 1 to the two
 * halves of the posterior, `mean` and `logvar` [batch, latent_channels, height, width], unscaled and unclamped.
 * Sources: diffusers, models/autoencoders/autoencoder_kl.py and vae.py.
 *
 * @throws AppError `unsupported_feature` for configurations it cannot build, `invalid_request` for wrong ones
 */
export function buildAutoencoderKlEncoder(json: ConfigJson, options: AutoencoderOptions): BuiltGraph {
  const { config, sizes, graph } = open(json, options, 'vae_encoder');
  const { channels, layers, latentChannels, resnet } = sizes;
  const types = config.words('down_block_types', DOWN_BLOCKS, ['DownEncoderBlock2D']);
  const factor = 2 ** (channels.length - 1);
  const sample = graph.input('sample', 'float32', [
    options.size?.batch ?? 'batch',
    config.number('in_channels', 3),
    product([factor, options.size?.height ?? 'height']),
    product([factor, options.size?.width ?? 'width']),
  ]);

  let hidden = conv2d(graph, sample, 'encoder.conv_in', { out: channels[0] ?? 0 });
  channels.forEach((out, block) => {
    const name = `encoder.down_blocks.${block}`;
    for (let layer = 0; layer < layers; layer++) {
      hidden = resnetBlock(graph, hidden, `${name}.resnets.${layer}`, { out, settings: resnet });
      if (types[block]?.startsWith('Attn')) {
        hidden = attentionBlock(graph, hidden, `${name}.attentions.${layer}`, { heads: 1, ...resnet });
      }
    }
    if (block < channels.length - 1) hidden = downsample(graph, hidden, `${name}.downsamplers.0`, 0);
  });
  hidden = midBlock(graph, hidden, 'encoder.mid_block', sizes);
  const normed = groupNorm(graph, hidden, 'encoder.conv_norm_out', resnet);
  let moments = conv2d(graph, activate(graph, normed, resnet.activation), 'encoder.conv_out', {
    out: 2 * latentChannels,
  });
  if (config.boolean('use_quant_conv', true)) {
    moments = conv2d(graph, moments, 'quant_conv', { out: 2 * latentChannels, kernel: 1 });
  }
  const [mean, logvar = mean] = split(graph, moments, 2, 1);
  graph.output('mean', mean);
  graph.output('logvar', logvar);
  return graph.build();
}

/**
 * The decoder of diffusers' AutoencoderKL: `latent_sample` float32 [batch, latent_channels, height, width], already
 * divided by the scaling factor, to `sample` [batch, 3, 8·height, 8·width] around -1 … 1.
 *
 * @throws AppError `unsupported_feature` for configurations it cannot build, `invalid_request` for wrong ones
 */
export function buildAutoencoderKlDecoder(json: ConfigJson, options: AutoencoderOptions): BuiltGraph {
  const { config, sizes, graph } = open(json, options, 'vae_decoder');
  const { channels, layers, latentChannels, resnet } = sizes;
  const types = config.words('up_block_types', UP_BLOCKS, ['UpDecoderBlock2D']);
  const latents = graph.input('latent_sample', 'float32', [
    options.size?.batch ?? 'batch',
    latentChannels,
    options.size?.height ?? 'height',
    options.size?.width ?? 'width',
  ]);

  const decoded = config.boolean('use_post_quant_conv', true)
    ? conv2d(graph, latents, 'post_quant_conv', { out: latentChannels, kernel: 1 })
    : latents;
  let hidden = conv2d(graph, decoded, 'decoder.conv_in', { out: channels.at(-1) ?? 0 });
  hidden = midBlock(graph, hidden, 'decoder.mid_block', sizes);
  channels.toReversed().forEach((out, block) => {
    const name = `decoder.up_blocks.${block}`;
    for (let layer = 0; layer <= layers; layer++) {
      hidden = resnetBlock(graph, hidden, `${name}.resnets.${layer}`, { out, settings: resnet });
      if (types[block]?.startsWith('Attn')) {
        hidden = attentionBlock(graph, hidden, `${name}.attentions.${layer}`, { heads: 1, ...resnet });
      }
    }
    if (block < channels.length - 1) {
      hidden = conv2d(graph, upsampleNearest(graph, hidden, 2), `${name}.upsamplers.0.conv`, { out });
    }
  });
  const normed = groupNorm(graph, hidden, 'decoder.conv_norm_out', resnet);
  const image = conv2d(graph, activate(graph, normed, resnet.activation), 'decoder.conv_out', {
    out: config.number('out_channels', 3),
  });
  graph.output('sample', image);
  return graph.build();
}

function open(
  json: ConfigJson,
  options: AutoencoderOptions,
  name: string,
): { config: ConfigReader; sizes: Sizes; graph: Graph } {
  const config = new ConfigReader(json, 'AutoencoderKL');
  const channels = config.numbers('block_out_channels', [64]);
  if (channels.length === 0)
    throw new AppError('invalid_request', 'AutoencoderKL: block_out_channels is empty.');
  // Set for SDXL, whose activations pass float16's largest number.
  const upcast = config.boolean('force_upcast', false);
  return {
    config,
    graph: new Graph({
      ...options,
      ...(upcast && { precision: 'float32' }),
      winograd: false,
      name,
      circular: options.tiling ?? false,
    }),
    sizes: {
      channels,
      layers: config.number('layers_per_block', 1),
      latentChannels: config.number('latent_channels', 4),
      midAttention: config.boolean('mid_block_add_attention', true),
      resnet: {
        groups: config.number('norm_num_groups', 32),
        epsilon: 1e-6,
        activation: config.activation('act_fn', 'silu'),
        timeScaleShift: 'default',
        outputScale: 1,
      },
    },
  };
}

/** Diffusers' UNetMidBlock2D: a resnet, attention with one head, a resnet. */
function midBlock(graph: Graph, input: Value, name: string, { midAttention, resnet }: Sizes): Value {
  const out = Number(input.shape[1]);
  const first = resnetBlock(graph, input, `${name}.resnets.0`, { out, settings: resnet });
  const attended = midAttention
    ? attentionBlock(graph, first, `${name}.attentions.0`, { heads: 1, ...resnet })
    : first;
  return resnetBlock(graph, attended, `${name}.resnets.1`, { out, settings: resnet });
}
