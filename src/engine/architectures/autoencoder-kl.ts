import { product } from '#engine/graph/dimension.ts';
import { Graph, type BuiltGraph, type Value } from '#engine/graph/graph.ts';
import { activate, conv2d, groupNorm } from '#engine/graph/layers.ts';
import { split, upsampleNearest } from '#engine/graph/operators.ts';
import { TileNorms } from '#engine/graph/tile-norms.ts';
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
  /** One of the two halves that the network is run in where its image comes in tiles; all of it by default. */
  part?: AutoencoderPart;
}

/**
 * `outer`: the two levels of the largest sizes, with {@link TileNorms}; it is run tile by tile. `inner`: all between them and the
 * latents, attention of the whole image to itself included; it takes an eighth of the memory, and is run on the whole image. What
 * goes from one to the other is `hidden` [1, channels, height, width].
 */
export type AutoencoderPart = 'inner' | 'outer';

/** How an autoencoder is split in its parts. */
export interface AutoencoderSplit {
  /** Pixels that a cell of `hidden` is wide. */
  cell: number;
  /** Cells around a tile that it depends on: what the convolutions of the outer part reach. */
  reach: number;
  /** Memory that one piece takes for a pixel: three images of the most channels that there are at the largest size. */
  bytesPerPixel: number;
}

/** Levels of the outer part. */
const OUTER_LEVELS = 2;

/**
 * How it can be split; undefined where it cannot, for attention at all sizes or too few levels.
 * @throws AppError `invalid_request` for a wrong configuration
 */
export function splitAutoencoder(json: ConfigJson): AutoencoderSplit | undefined {
  const config = new ConfigReader(json, 'AutoencoderKL');
  const types = [
    ...config.words('down_block_types', DOWN_BLOCKS, ['DownEncoderBlock2D']),
    ...config.words('up_block_types', UP_BLOCKS, ['UpDecoderBlock2D']),
  ];
  const channels = config.numbers('block_out_channels', [64]);
  const levels = channels.length;
  if (levels <= OUTER_LEVELS || types.some((type) => type.startsWith('Attn'))) return undefined;
  // Two of each resnet, and the one after the last or of the change of size.
  const convolutions = 2 * (config.number('layers_per_block', 1) + 1) + 1;
  const reaches = Array.from({ length: OUTER_LEVELS }, (_, level) => convolutions / 2 ** (level + 1));
  return {
    cell: 2 ** OUTER_LEVELS,
    reach: Math.ceil(reaches.reduce((a, b) => a + b)) + 1,
    bytesPerPixel: 3 * Float32Array.BYTES_PER_ELEMENT * Math.max(...channels.slice(0, 2)),
  };
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
  const norms = options.part === 'outer' ? new TileNorms(graph, resnet.groups) : undefined;
  const outerLevels = options.part ? OUTER_LEVELS : 0;
  const sample =
    options.part === 'inner'
      ? graph.input('hidden', 'float32', [1, channels[outerLevels - 1] ?? 0, 'height', 'width'])
      : graph.input('sample', 'float32', [
          norms ? 1 : (options.size?.batch ?? 'batch'),
          config.number('in_channels', 3),
          product([norms ? 2 ** outerLevels : factor, options.size?.height ?? 'height']),
          product([norms ? 2 ** outerLevels : factor, options.size?.width ?? 'width']),
        ]);

  let hidden =
    options.part === 'inner' ? sample : conv2d(graph, sample, 'encoder.conv_in', { out: channels[0] ?? 0 });
  channels.forEach((out, block) => {
    const isOuter = block < outerLevels;
    if (options.part && isOuter !== (options.part === 'outer')) return;
    const name = `encoder.down_blocks.${block}`;
    const settings = norms ? { ...resnet, normalise: norms.at(2 ** (outerLevels - block)) } : resnet;
    for (let layer = 0; layer < layers; layer++) {
      hidden = resnetBlock(graph, hidden, `${name}.resnets.${layer}`, { out, settings });
      if (types[block]?.startsWith('Attn')) {
        hidden = attentionBlock(graph, hidden, `${name}.attentions.${layer}`, { heads: 1, ...resnet });
      }
    }
    if (block < channels.length - 1) hidden = downsample(graph, hidden, `${name}.downsamplers.0`, 0);
  });
  if (norms) {
    graph.output('hidden', hidden);
    norms.finish();
    return graph.build();
  }
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
  const norms = options.part === 'outer' ? new TileNorms(graph, resnet.groups) : undefined;
  const up = channels.toReversed();
  const innerLevels = options.part ? up.length - OUTER_LEVELS : 0;
  let hidden: Value;
  if (norms) {
    hidden = graph.input('hidden', 'float32', [1, up[innerLevels - 1] ?? 0, 'height', 'width']);
  } else {
    const latents = graph.input('latent_sample', 'float32', [
      options.size?.batch ?? 'batch',
      latentChannels,
      options.size?.height ?? 'height',
      options.size?.width ?? 'width',
    ]);
    const decoded = config.boolean('use_post_quant_conv', true)
      ? conv2d(graph, latents, 'post_quant_conv', { out: latentChannels, kernel: 1 })
      : latents;
    hidden = conv2d(graph, decoded, 'decoder.conv_in', { out: up[0] ?? 0 });
    hidden = midBlock(graph, hidden, 'decoder.mid_block', sizes);
  }
  up.forEach((out, block) => {
    const isInner = block < innerLevels;
    const name = `decoder.up_blocks.${block}`;
    if (!options.part || isInner === (options.part === 'inner')) {
      const settings = norms ? { ...resnet, normalise: norms.at(2 ** (block - innerLevels + 1)) } : resnet;
      for (let layer = 0; layer <= layers; layer++) {
        hidden = resnetBlock(graph, hidden, `${name}.resnets.${layer}`, { out, settings });
        if (types[block]?.startsWith('Attn')) {
          hidden = attentionBlock(graph, hidden, `${name}.attentions.${layer}`, { heads: 1, ...resnet });
        }
      }
    }
    // What makes the image larger is of the part that sees it so.
    const isNextInner = block + 1 < innerLevels;
    if (block < up.length - 1 && (!options.part || isNextInner === (options.part === 'inner'))) {
      hidden = conv2d(graph, upsampleNearest(graph, hidden, 2), `${name}.upsamplers.0.conv`, { out });
    }
  });
  if (options.part === 'inner') {
    graph.output('hidden', hidden);
    return graph.build();
  }
  const normed = groupNorm(graph, hidden, 'decoder.conv_norm_out', {
    ...resnet,
    normalise: norms?.at(2 ** OUTER_LEVELS),
  });
  const image = conv2d(graph, activate(graph, normed, resnet.activation), 'decoder.conv_out', {
    out: config.number('out_channels', 3),
  });
  graph.output('sample', image);
  norms?.finish();
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
