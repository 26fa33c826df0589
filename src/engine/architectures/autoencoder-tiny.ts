import { product } from '#engine/graph/dimension.ts';
import { Graph, type BuiltGraph, type Value } from '#engine/graph/graph.ts';
import { activate, conv2d, type Activation } from '#engine/graph/layers.ts';
import { add, scale, subtract, tanh, upsampleNearest } from '#engine/graph/operators.ts';
import type { AutoencoderOptions } from './autoencoder-kl.ts';
import { ConfigReader, type ConfigJson } from './config.ts';

/*
 * Diffusers' AutoencoderTiny (TAESD by Ollin Boer Bohan): convolutions and ReLU only, for previews and small
 * devices. Sources: diffusers, models/autoencoders/autoencoder_tiny.py and vae.py.
 */

/**
 * `sample` float32 [batch, 3, 8·height, 8·width] in -1 … 1 to `latent_sample` [batch, latent_channels, height,
 * width].
 *
 * @throws AppError `unsupported_feature` for configurations it cannot build, `invalid_request` for wrong ones
 */
export function buildAutoencoderTinyEncoder(json: ConfigJson, options: AutoencoderOptions): BuiltGraph {
  const config = new ConfigReader(json, 'AutoencoderTiny');
  const activation = config.activation('act_fn', 'relu');
  const blocks = config.numbers('num_encoder_blocks', [1, 3, 3, 3]);
  const channels = config.perBlock('encoder_block_out_channels', blocks.length, 64);
  const factor = 2 ** (blocks.length - 1);
  const graph = new Graph({
    ...options,
    winograd: false,
    name: 'vae_encoder',
    circular: options.tiling ?? false,
  });
  const sample = graph.input('sample', 'float32', [
    options.size?.batch ?? 'batch',
    config.number('in_channels', 3),
    product([factor, options.size?.height ?? 'height']),
    product([factor, options.size?.width ?? 'width']),
  ]);

  let layer = 0;
  const next = () => `encoder.layers.${layer++}`;
  // TAESD was trained on images in 0 … 1.
  let hidden = add(graph, scale(graph, sample, 0.5), graph.floats([0.5], []));
  blocks.forEach((count, index) => {
    const out = channels[index] ?? 0;
    hidden = conv2d(graph, hidden, next(), index === 0 ? { out } : { out, stride: 2, bias: false });
    for (let block = 0; block < count; block++)
      hidden = tinyBlock(graph, hidden, next(), { out, activation });
  });
  graph.output('latent_sample', conv2d(graph, hidden, next(), { out: config.number('latent_channels', 4) }));
  return graph.build();
}

/**
 * `latent_sample` float32 [batch, latent_channels, height, width] to `sample` [batch, 3, 8·height, 8·width] around
 * -1 … 1.
 *
 * @throws AppError `unsupported_feature` for configurations it cannot build, `invalid_request` for wrong ones
 */
export function buildAutoencoderTinyDecoder(json: ConfigJson, options: AutoencoderOptions): BuiltGraph {
  const config = new ConfigReader(json, 'AutoencoderTiny');
  config.word('upsample_fn', ['nearest'], 'nearest');
  const activation = config.activation('act_fn', 'relu');
  const blocks = config.numbers('num_decoder_blocks', [3, 3, 3, 1]);
  const channels = config.perBlock('decoder_block_out_channels', blocks.length, 64);
  const factor = config.number('upsampling_scaling_factor', 2);
  const graph = new Graph({
    ...options,
    winograd: false,
    name: 'vae_decoder',
    circular: options.tiling ?? false,
  });
  const latents = graph.input('latent_sample', 'float32', [
    options.size?.batch ?? 'batch',
    config.number('latent_channels', 4),
    options.size?.height ?? 'height',
    options.size?.width ?? 'width',
  ]);

  // Numbers of torch's Sequential: layer 1 is the first activation, and up-samplings have a number of their own.
  let layer = 0;
  const next = () => `decoder.layers.${layer++}`;
  const limited = scale(graph, tanh(graph, scale(graph, latents, 1 / 3)), 3);
  let hidden = activate(graph, conv2d(graph, limited, next(), { out: channels[0] ?? 0 }), activation);
  layer++;
  blocks.forEach((count, index) => {
    const out = channels[index] ?? 0;
    for (let block = 0; block < count; block++)
      hidden = tinyBlock(graph, hidden, next(), { out, activation });
    const isLast = index === blocks.length - 1;
    if (!isLast) {
      hidden = upsampleNearest(graph, hidden, factor);
      layer++;
    }
    hidden = conv2d(
      graph,
      hidden,
      next(),
      isLast ? { out: config.number('out_channels', 3) } : { out, bias: false },
    );
  });
  graph.output('sample', subtract(graph, scale(graph, hidden, 2), graph.floats([1], [])));
  return graph.build();
}

/** Diffusers' AutoencoderTinyBlock: three convolutions around a shortcut. */
function tinyBlock(
  graph: Graph,
  input: Value,
  name: string,
  { out, activation }: { out: number; activation: Activation },
): Value {
  const first = activate(graph, conv2d(graph, input, `${name}.conv.0`, { out }), activation);
  const second = activate(graph, conv2d(graph, first, `${name}.conv.2`, { out }), activation);
  const third = conv2d(graph, second, `${name}.conv.4`, { out });
  const shortcut =
    input.shape[1] === out ? input : conv2d(graph, input, `${name}.skip`, { out, kernel: 1, bias: false });
  // The reference fuses with a ReLU whatever act_fn says.
  return activate(graph, add(graph, third, shortcut), 'relu');
}
