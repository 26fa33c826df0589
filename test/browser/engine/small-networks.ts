import type { ConfigJson } from '#engine/architectures/config.ts';
import type { Network } from '../../support/browser-engine.ts';
import { randomTensors, tensorsOf } from '../../support/random-weights.ts';

/*
 * Networks with pseudo-random weights for the architectures that test/fixtures/models has no reference of: as small
 * as their definitions allow.
 */

type Shapes = Record<string, readonly number[]>;

function linear(name: string, out: number, width: number): Shapes {
  return { [`${name}.weight`]: [out, width], [`${name}.bias`]: [out] };
}

function norm(name: string, width: number): Shapes {
  return { [`${name}.weight`]: [width], [`${name}.bias`]: [width] };
}

function conv(name: string, out: number, channels: number, kernel = 3): Shapes {
  return { [`${name}.weight`]: [out, channels, kernel, kernel], [`${name}.bias`]: [out] };
}

function merge(...parts: readonly Shapes[]): Shapes {
  return Object.assign({}, ...parts) as Shapes;
}

function network(config: ConfigJson, ...shapes: readonly Shapes[]): Network {
  return { config, weights: tensorsOf(randomTensors(merge(...shapes))), files: new Map() };
}

const WIDTH = 16;

export function smallClipText(): Network {
  const config = {
    eos_token_id: 19,
    hidden_size: WIDTH,
    intermediate_size: 2 * WIDTH,
    max_position_embeddings: 6,
    num_attention_heads: 2,
    num_hidden_layers: 2,
    projection_dim: 8,
    vocab_size: 20,
  };
  const layers = [0, 1].map((layer) => {
    const name = `text_model.encoder.layers.${layer}`;
    return merge(
      norm(`${name}.layer_norm1`, WIDTH),
      ...['q_proj', 'k_proj', 'v_proj', 'out_proj'].map((projection) =>
        linear(`${name}.self_attn.${projection}`, WIDTH, WIDTH),
      ),
      norm(`${name}.layer_norm2`, WIDTH),
      linear(`${name}.mlp.fc1`, 2 * WIDTH, WIDTH),
      linear(`${name}.mlp.fc2`, WIDTH, 2 * WIDTH),
    );
  });
  return network(
    config,
    {
      'text_model.embeddings.token_embedding.weight': [20, WIDTH],
      'text_model.embeddings.position_embedding.weight': [6, WIDTH],
      'text_projection.weight': [8, WIDTH],
    },
    norm('text_model.final_layer_norm', WIDTH),
    ...layers,
  );
}

export function smallEmojiTextEncoder(): Network {
  const blocks = [0, 1].map((index) =>
    merge(
      norm(`blocks.${index}.n1`, WIDTH),
      linear(`blocks.${index}.qkv`, 3 * WIDTH, WIDTH),
      linear(`blocks.${index}.o`, WIDTH, WIDTH),
      norm(`blocks.${index}.n2`, WIDTH),
      linear(`blocks.${index}.f1`, 2 * WIDTH, WIDTH),
      linear(`blocks.${index}.f2`, WIDTH, 2 * WIDTH),
    ),
  );
  return network(
    { num_attention_heads: 2, eos_token_id: 19 },
    { 'tok.weight': [20, 8], 'up.weight': [WIDTH, 8], pos: [6, WIDTH], 'proj.weight': [8, WIDTH] },
    norm('nf', WIDTH),
    ...blocks,
  );
}

export function smallEmojiAutoencoder(): Network {
  const channels = 8;
  const residual = (name: string) =>
    merge(conv(`${name}.c1`, channels, channels), conv(`${name}.c2`, channels, channels));
  return network(
    {},
    { 'latents.mean': [16], 'latents.std': [1] },
    conv('enc.net.1', channels, 3 * 4 * 4),
    conv('enc.net.4', channels, channels),
    conv('enc.net.7', channels, channels),
    conv('enc.net.12', 2 * 16, channels),
    ...[2, 3, 5, 6, 8, 9, 10].map((index) => residual(`enc.net.${index}`)),
    conv('dec.net.0', channels, 16),
    conv('dec.net.4', 4 * channels, channels, 1),
    conv('dec.net.9', 4 * channels, channels, 1),
    conv('dec.net.15', 3 * 4 * 4, channels),
    ...[1, 2, 3, 6, 7, 8, 11, 12, 13].map((index) => residual(`dec.net.${index}`)),
  );
}

/** The resampler of IP-Adapter Plus. */
export function smallIpAdapterPlus(): Network {
  const layer = 'image_proj.layers.0';
  return network(
    { cross_attention_dim: 8 },
    { 'image_proj.latents': [1, 3, WIDTH] },
    linear('image_proj.proj_in', WIDTH, 10),
    norm(`${layer}.0.norm1`, WIDTH),
    norm(`${layer}.0.norm2`, WIDTH),
    {
      [`${layer}.0.to_q.weight`]: [128, WIDTH],
      [`${layer}.0.to_kv.weight`]: [256, WIDTH],
      [`${layer}.0.to_out.weight`]: [WIDTH, 128],
      [`${layer}.1.1.weight`]: [64, WIDTH],
      [`${layer}.1.3.weight`]: [WIDTH, 64],
    },
    norm(`${layer}.1.0`, WIDTH),
    linear('image_proj.proj_out', 8, WIDTH),
    norm('image_proj.norm_out', 8),
  );
}

/** A twice upscaling ESRGAN. */
export function smallRrdbNet(): Network {
  const [features, growth] = [8, 4];
  const dense = [1, 2, 3].flatMap((unit) => [
    ...[1, 2, 3, 4].map((index) =>
      conv(`body.0.rdb${unit}.conv${index}`, growth, features + (index - 1) * growth),
    ),
    conv(`body.0.rdb${unit}.conv5`, features, features + 4 * growth),
  ]);
  return network(
    { scale: 2 },
    conv('conv_first', features, 3 * 2 * 2),
    ...dense,
    ...['conv_body', 'conv_up1', 'conv_up2', 'conv_hr'].map((name) => conv(name, features, features)),
    conv('conv_last', 3, features),
  );
}
