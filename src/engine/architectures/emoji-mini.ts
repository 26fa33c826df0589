import { multiHeadAttention } from '#engine/graph/attention.ts';
import { product } from '#engine/graph/dimension.ts';
import { Graph, type BuiltGraph, type Value } from '#engine/graph/graph.ts';
import { conv2d, layerNorm, linear, pixelUnshuffle } from '#engine/graph/layers.ts';
import {
  add,
  divide,
  gather,
  gelu,
  multiply,
  pixelShuffle,
  relu,
  slice,
  split,
  subtract,
} from '#engine/graph/operators.ts';
import type { AutoencoderOptions } from './autoencoder-kl.ts';
import { causalMask, endOfText } from './clip-layers.ts';
import { ConfigReader, type ConfigJson } from './config.ts';
import { embedTokens, giveTextOutputs, type TextEncoderOptions } from './text-outputs.ts';

const EPSILON = 1e-5;

/*
 * The networks of the built-in model besides its UNet, which is an ordinary UNet2DConditionModel. Sizes are those
 * of the weights, so that a larger model of the same make needs no change here.
 */

/**
 * A small causal transformer over CLIP's tokens, with a factorised token table. Input `input_ids` int32 [batch, 77];
 * outputs as requested, by default `last_hidden_state` [batch, 77, width] and `text_embeds` [batch, width], float32.
 */
export function buildEmojiTextEncoder(json: ConfigJson, options: TextEncoderOptions): BuiltGraph {
  const config = new ConfigReader(json, 'The text encoder of emoji-mini');
  const heads = config.number('num_attention_heads', 4);
  const graph = new Graph({ ...options, name: 'text_encoder' });
  const [vocabulary = 0, rank = 0] = graph.weights.info('tok.weight').shape;
  const [tokens = 0, width = 0] = graph.weights.info('pos').shape;
  const ids = graph.input('input_ids', 'int32', ['batch', tokens]);

  const table = graph.parameter('tok.weight', [vocabulary, rank]);
  const look = (known: Value) =>
    linear(graph, gather(graph, table, known), 'up', { out: width, bias: false });
  const { embedded, known } = embedTokens(graph, ids, { vocabulary, width, look }, options);
  let hidden = add(graph, embedded, graph.parameter('pos', [tokens, width]));
  const states = [hidden];
  const mask = causalMask(graph, tokens);
  for (let index = 0; graph.weights.has(`blocks.${index}.n1.weight`); index++) {
    const name = `blocks.${index}`;
    const normed = layerNorm(graph, hidden, `${name}.n1`, EPSILON);
    const projected = linear(graph, normed, `${name}.qkv`, { out: 3 * width });
    const [query, key = query, value = query] = split(graph, projected, 3, 2);
    const attended = multiHeadAttention(graph, { query, key, value, heads, bias: mask });
    hidden = add(graph, hidden, linear(graph, attended, `${name}.o`, { out: width }));
    const inner = linear(graph, layerNorm(graph, hidden, `${name}.n2`, EPSILON), `${name}.f1`, {
      out: graph.weights.info(`${name}.f1.weight`).shape[0] ?? 0,
    });
    hidden = add(graph, hidden, linear(graph, gelu(graph, inner), `${name}.f2`, { out: width }));
    states.push(hidden);
  }
  giveTextOutputs(graph, options.outputs ?? ['last_hidden_state', 'text_embeds'], {
    states,
    norm: { name: 'nf', epsilon: EPSILON },
    endOfText: () => endOfText(graph, known, config),
    project: (pooled) => linear(graph, pooled, 'proj', { out: outputChannels(graph, 'proj'), bias: false }),
  });
  return graph.build();
}

/**
 * `sample` float32 [batch, 3, 16·height, 16·width] in -1 … 1 to the mean of its standardised latents,
 * `latent_sample` [batch, 16, height, width].
 */
export function buildEmojiEncoder(_config: ConfigJson, options: AutoencoderOptions): BuiltGraph {
  const graph = new Graph({ ...options, name: 'vae_encoder', circular: options.tiling ?? false });
  const { batch = 'batch', height = 'height', width = 'width' } = options.size ?? {};
  const sample = graph.input('sample', 'float32', [batch, 3, product([16, height]), product([16, width])]);

  const plainConv = (input: Value, name: string, stride: number) =>
    conv2d(graph, input, name, { out: outputChannels(graph, name), stride });
  let hidden = plainConv(pixelUnshuffle(graph, sample, 4), 'enc.net.1', 1);
  hidden = blocks(graph, hidden, 'enc.net', [2, 3]);
  hidden = blocks(graph, plainConv(hidden, 'enc.net.4', 2), 'enc.net', [5, 6]);
  hidden = blocks(graph, plainConv(hidden, 'enc.net.7', 2), 'enc.net', [8, 9, 10]);
  const moments = plainConv(relu(graph, hidden), 'enc.net.12', 1);
  const { mean, deviation, channels } = standardisation(graph);
  const raw = slice(graph, moments, 1, { start: 0, end: channels, size: channels });
  graph.output('latent_sample', divide(graph, subtract(graph, raw, mean), deviation));
  return graph.build();
}

/**
 * Standardised latents, `latent_sample` float32 [batch, 16, height, width], to `sample` [batch, 3, 16·height,
 * 16·width] around -1 … 1.
 */
export function buildEmojiDecoder(_config: ConfigJson, options: AutoencoderOptions): BuiltGraph {
  const graph = new Graph({ ...options, name: 'vae_decoder', circular: options.tiling ?? false });
  const { batch = 'batch', height = 'height', width = 'width' } = options.size ?? {};
  const { mean, deviation, channels } = standardisation(graph);
  const latents = graph.input('latent_sample', 'float32', [batch, channels, height, width]);

  const larger = (input: Value, name: string, kernel: number, factor: number) =>
    pixelShuffle(graph, conv2d(graph, input, name, { out: outputChannels(graph, name), kernel }), factor);
  const raw = add(graph, multiply(graph, latents, deviation), mean);
  let hidden = conv2d(graph, raw, 'dec.net.0', { out: outputChannels(graph, 'dec.net.0') });
  hidden = larger(blocks(graph, hidden, 'dec.net', [1, 2, 3]), 'dec.net.4', 1, 2);
  hidden = larger(blocks(graph, hidden, 'dec.net', [6, 7, 8]), 'dec.net.9', 1, 2);
  hidden = larger(relu(graph, blocks(graph, hidden, 'dec.net', [11, 12, 13])), 'dec.net.15', 3, 4);
  graph.output('sample', hidden);
  return graph.build();
}

/** Residual blocks: ReLU and convolution, twice, around a shortcut. */
function blocks(graph: Graph, input: Value, name: string, indices: readonly number[]): Value {
  return indices.reduce((hidden, index) => {
    const out = Number(hidden.shape[1]);
    const first = conv2d(graph, relu(graph, hidden), `${name}.${index}.c1`, { out });
    return add(graph, hidden, conv2d(graph, relu(graph, first), `${name}.${index}.c2`, { out }));
  }, input);
}

function outputChannels(graph: Graph, name: string): number {
  return graph.weights.info(`${name}.weight`).shape[0] ?? 0;
}

/** Mean of each latent channel and the deviation of all: standardised = (raw - mean) / deviation. */
function standardisation(graph: Graph): { mean: Value; deviation: Value; channels: number } {
  const [channels = 0] = graph.weights.info('latents.mean').shape;
  return {
    channels,
    mean: graph.parameter('latents.mean', [channels], [channels, 1, 1]),
    deviation: graph.parameter('latents.std', [1]),
  };
}
