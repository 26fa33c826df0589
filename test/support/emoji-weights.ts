import { readFileSync } from 'node:fs';
import path from 'node:path';
import { findArchitecture } from '#engine/architectures/index.ts';
import type { ConfigJson } from '#engine/architectures/config.ts';
import type { Unet2dConditionOptions } from '#engine/architectures/unet-2d-condition.ts';
import type { BuiltGraph } from '#engine/graph/graph.ts';
import { dequantiseTensors } from '#weights/quantise.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import { EMOJI_MINI } from './node-engine.ts';
import type { Numbers } from './onnx-session.ts';
import { pseudoRandom } from './random-weights.ts';

/** The networks of the built-in model. */
export type EmojiNetwork = 'unet' | 'text_encoder' | 'vae_decoder' | 'vae_encoder';

const tokens = new Int32Array(77).fill(49407);
tokens.set([49406, 736, 8088], 0);

/** `time_ids` of the model: original size, crop, target size. */
const NATIVE_SIZE = [256, 256, 0, 0, 256, 256];

/** What the networks were given for the outputs in test/fixtures/emoji-mini/io.safetensors. */
export const EMOJI_INPUTS: Readonly<Record<EmojiNetwork, Record<string, Numbers>>> = {
  unet: {
    sample: { data: pseudoRandom(2 * 16 * 8 * 12), shape: [2, 16, 8, 12] },
    timestep: { data: Float32Array.of(321), shape: [1] },
    encoder_hidden_states: { data: pseudoRandom(2 * 77 * 256, 2), shape: [2, 77, 256] },
    text_embeds: { data: pseudoRandom(2 * 256, 3), shape: [2, 256] },
    time_ids: { data: Float32Array.from([...NATIVE_SIZE, ...NATIVE_SIZE]), shape: [2, 6] },
  },
  text_encoder: { input_ids: { data: tokens, shape: [1, 77] } },
  vae_decoder: { latent_sample: { data: pseudoRandom(16 * 4 * 3), shape: [1, 16, 4, 3] } },
  vae_encoder: { sample: { data: pseudoRandom(3 * 64 * 48), shape: [1, 3, 64, 48] } },
};

/** The tensors of a file, without their places in it: graphs made of them need no file beside them. */
async function open(file: string): Promise<TensorSource> {
  const opened = await openSafetensors(new Blob([readFileSync(file)]), path.basename(file));
  return {
    names: () => opened.names(),
    info: (name) => opened.info(name),
    read: (name) => opened.read(name),
  };
}

/** The outputs of the networks as they were exported from the program they were trained with, by `<network>.<output>`. */
export function readEmojiOutputs(): Promise<TensorSource> {
  return open(path.resolve(import.meta.dirname, '../fixtures/emoji-mini/io.safetensors'));
}

/** The weights of a network of the built-in model, as the app serves them or as float32. */
export async function readEmoji(network: EmojiNetwork, as: 'int8' | 'float32'): Promise<TensorSource> {
  const folder = network.startsWith('vae') ? 'vae' : network;
  const stored = await open(path.join(EMOJI_MINI, folder, 'model.safetensors'));
  return as === 'int8' ? stored : dequantiseTensors(stored);
}

/** The graph this engine writes for a network of the built-in model. @param options of the UNet */
export function buildEmoji(
  network: EmojiNetwork,
  weights: TensorSource,
  options: Pick<Unet2dConditionOptions, 'loraInputs' | 'winograd' | 'slicesAttention'> = {},
): BuiltGraph {
  const config: ConfigJson =
    network === 'unet'
      ? (JSON.parse(readFileSync(path.join(EMOJI_MINI, 'unet/config.json'), 'utf8')) as ConfigJson)
      : {};
  const found = findArchitecture(network, (_, tensor) => weights.info(tensor) !== undefined);
  if (!found) throw new Error(`There is no architecture for ${network}.`);
  return found.build(config, { ...options, weights });
}
