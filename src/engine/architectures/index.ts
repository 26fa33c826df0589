import type { BuiltGraph } from '#engine/graph/graph.ts';
import type { Component } from '#weights/checkpoint.ts';
import {
  buildAutoencoderKlDecoder,
  buildAutoencoderKlEncoder,
  splitAutoencoder,
  type AutoencoderPart,
  type AutoencoderSplit,
} from './autoencoder-kl.ts';
import { buildAutoencoderTinyDecoder, buildAutoencoderTinyEncoder } from './autoencoder-tiny.ts';
import { buildClipText } from './clip-text.ts';
import { buildClipVision } from './clip-vision.ts';
import type { ConfigJson } from './config.ts';
import { buildControlNet } from './controlnet.ts';
import { buildEmojiDecoder, buildEmojiEncoder, buildEmojiTextEncoder } from './emoji-mini.ts';
import { buildIpAdapterProjection } from './ip-adapter.ts';
import { buildRrdbNet } from './rrdb-net.ts';
import type { TextEncoderOptions } from './text-outputs.ts';
import { buildUnet2dCondition, type Unet2dConditionOptions } from './unet-2d-condition.ts';

/** A network of a pipeline, by the folder it has in ONNX exports. */
export type NetworkName =
  | 'unet'
  | 'text_encoder'
  | 'text_encoder_2'
  | 'vae_decoder'
  | 'vae_encoder'
  | 'controlnet'
  | 'upscaler'
  | 'image_encoder'
  | 'image_projection';

/** Options of every network; each takes those it knows. */
type NetworkOptions = Unet2dConditionOptions & TextEncoderOptions & { part?: AutoencoderPart };

/** How a network is written, and what it is used as. */
interface Architecture {
  build: (config: ConfigJson, options: NetworkOptions) => BuiltGraph;
  /** Which networks of a pipeline it is, and from which part of the weights each is made. */
  serves: Partial<Readonly<Record<NetworkName, Component>>>;
  /** A tensor that is there only in weights of this architecture. */
  mark: string;
  /** Of networks that may be written in two parts, see {@link AutoencoderPart}: how. */
  split?: (config: ConfigJson) => AutoencoderSplit | undefined;
}

/** Every network this engine can write: `build(config, options)`, and where it is used. */
export const architectures = {
  'autoencoder-kl-decoder': {
    build: buildAutoencoderKlDecoder,
    serves: { vae_decoder: 'vae' },
    mark: 'decoder.conv_in.weight',
    split: splitAutoencoder,
  },
  'autoencoder-kl-encoder': {
    build: buildAutoencoderKlEncoder,
    serves: { vae_encoder: 'vae' },
    mark: 'encoder.conv_in.weight',
    split: splitAutoencoder,
  },
  'autoencoder-tiny-decoder': {
    build: buildAutoencoderTinyDecoder,
    serves: { vae_decoder: 'taesd' },
    mark: 'decoder.layers.0.weight',
  },
  'autoencoder-tiny-encoder': {
    build: buildAutoencoderTinyEncoder,
    serves: { vae_encoder: 'taesd' },
    mark: 'encoder.layers.0.weight',
  },
  'clip-text': {
    build: buildClipText,
    serves: { text_encoder: 'text_encoder', text_encoder_2: 'text_encoder_2' },
    mark: 'text_model.embeddings.token_embedding.weight',
  },
  'clip-vision': {
    build: buildClipVision,
    serves: { image_encoder: 'image_encoder' },
    mark: 'vision_model.embeddings.class_embedding',
  },
  controlnet: { build: buildControlNet, serves: { controlnet: 'controlnet' }, mark: 'conv_in.weight' },
  'emoji-mini-text-encoder': {
    build: buildEmojiTextEncoder,
    serves: { text_encoder: 'text_encoder' },
    mark: 'tok.weight',
  },
  'emoji-mini-vae-decoder': {
    build: buildEmojiDecoder,
    serves: { vae_decoder: 'vae' },
    mark: 'dec.net.0.weight',
  },
  'emoji-mini-vae-encoder': {
    build: buildEmojiEncoder,
    serves: { vae_encoder: 'vae' },
    mark: 'enc.net.1.weight',
  },
  'ip-adapter-projection': {
    build: buildIpAdapterProjection,
    serves: { image_projection: 'ip_adapter' },
    mark: 'ip_adapter.1.to_k_ip.weight',
  },
  'rrdb-net': { build: buildRrdbNet, serves: { upscaler: 'upscaler' }, mark: 'conv_first.weight' },
  'unet-2d-condition': {
    build: buildUnet2dCondition,
    serves: { unet: 'unet' },
    mark: 'conv_in.weight',
  },
} as const satisfies Record<string, Architecture>;

export type ArchitectureName = keyof typeof architectures;

const all: readonly Architecture[] = Object.values(architectures);

/**
 * The architecture of a network, and the part of the weights it is made from.
 * @param has whether a part of the weights is there and has a tensor of this name
 */
export function findArchitecture(
  name: NetworkName,
  has: (component: Component, tensor: string) => boolean,
): ({ component: Component } & Pick<Architecture, 'build' | 'split'>) | undefined {
  for (const { build, serves, mark, split } of all) {
    const component = serves[name];
    if (component && has(component, mark)) return { component, build, ...(split && { split }) };
  }
  return undefined;
}
