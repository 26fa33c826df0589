import { AppError } from '#protocol/error.ts';
import { families } from '#protocol/families.ts';
import type { Component } from './checkpoint.ts';
import type { TensorSource } from './tensor-source.ts';

/** Keys of a diffusers or transformers `config.json`. */
export type InferredConfig = Readonly<Record<string, unknown>>;

/**
 * The `config.json` of a network that came without one, as single files do: sizes are read off the tensors' shapes,
 * what shapes do not show (attention heads, activations) follows from the family. Keys left out have the defaults of
 * the reference programs; the VAE's scaling factor, which no tensor shows, is among them. Nothing is read but names
 * and shapes.
 *
 * @param network Under its diffusers names.
 * @throws AppError `unsupported_feature` where the sizes are of no known family
 */
export function inferConfig(component: Component, network: TensorSource): InferredConfig {
  const sizes = new Sizes(component, network);
  switch (component) {
    case 'unet':
      return inferUnet(sizes);
    case 'controlnet':
      return inferControlNet(sizes);
    case 'vae':
      return inferAutoencoder(sizes);
    case 'text_encoder':
    case 'text_encoder_2':
      return inferTextEncoder(sizes);
    case 'taesd':
      return {
        _class_name: 'AutoencoderTiny',
        latent_channels: sizes.shape('decoder.layers.0.weight')?.[1] ?? 4,
      };
    case 'upscaler':
      return inferUpscaler(sizes);
    case 'image_encoder':
      return inferImageEncoder(sizes);
    case 'ip_adapter':
      return inferIpAdapter(sizes);
  }
}

/** More than any side of a known network; CLIP's 49,408 tokens are the most. Bounds the tables made from such sizes. */
const LARGEST_SIDE = 65_536;

/** What every CLIP text encoder reads at once, and prompts are cut for. */
const CLIP_TOKENS = 77;

/** CLIP's image encoders see 224 pixels a side, the largest 336. */
const MOST_CLIP_PIXELS = 1024;

/** Plain IP-Adapters make 4 tokens of an image, the Plus ones 16. */
const MOST_IMAGE_TOKENS = 4096;

/** Upscalers of eight times are the largest there are. */
const MAX_DOUBLINGS = 3;

/** Questions to the names and shapes of a network. */
class Sizes {
  readonly #component: Component;
  readonly #network: TensorSource;

  constructor(component: Component, network: TensorSource) {
    this.#component = component;
    this.#network = network;
  }

  has(name: string): boolean {
    return this.#network.info(name) !== undefined;
  }

  shape(name: string): readonly number[] | undefined {
    return this.#network.info(name)?.shape;
  }

  /** One side of a tensor that has to be there. */
  side(name: string, axis: 0 | 1): number {
    const side = this.#network.info(name)?.shape[axis];
    if (side === undefined) {
      throw new AppError(
        'unsupported_feature',
        `This ${this.#component} is of an unknown kind: it has no "${name}".`,
      );
    }
    if (side > LARGEST_SIDE) throw this.refuse(`a side of "${name}" is ${side}`);
    return side;
  }

  /** How many numbers, from 0 up, make the name of a tensor that is there. */
  count(name: (index: number) => string): number {
    let count = 0;
    while (this.has(name(count))) count++;
    return count;
  }

  /** The answers for 0, 1 … as many as {@link count} has. */
  each<T>(name: (index: number) => string, answer: (index: number) => T): T[] {
    return Array.from({ length: this.count(name) }, (_, index) => answer(index));
  }

  /** The first tensor whose name ends so. */
  find(end: string): readonly number[] | undefined {
    for (const name of this.#network.names()) if (name.endsWith(end)) return this.shape(name);
    return undefined;
  }

  refuse(what: string): AppError {
    return new AppError('unsupported_feature', `This ${this.#component} is of an unknown kind: ${what}.`);
  }
}

const resnet = (side: 'down' | 'up') => (block: number) => `${side}_blocks.${block}.resnets.0.conv1.weight`;
const firstQuery = (path: string, layer = 0) =>
  `${path}.attentions.0.transformer_blocks.${layer}.attn1.to_q.weight`;

/** Of emoji-mini's text, which tells its UNet from those of Stable Diffusion. */
const { textWidth: EMOJI_WIDTH } = families['emoji-mini'];

/** What UNets and ControlNets have in common. */
function inferDownBlocks(sizes: Sizes): Record<string, unknown> {
  const channels = sizes.each(resnet('down'), (block) => sizes.side(resnet('down')(block), 0));
  const depths = channels.map((_, block) =>
    sizes.count((layer) => firstQuery(`down_blocks.${block}`, layer)),
  );
  const midDepth = sizes.count((layer) => firstQuery('mid_block', layer));
  const contextWidth = sizes.find('.attn2.to_k.weight')?.[1];
  if (contextWidth === undefined) throw sizes.refuse('it has no cross-attention');
  return {
    in_channels: sizes.side('conv_in.weight', 1),
    block_out_channels: channels,
    down_block_types: depths.map((depth) => (depth > 0 ? 'CrossAttnDownBlock2D' : 'DownBlock2D')),
    mid_block_type: sizes.has('mid_block.resnets.0.conv1.weight') ? 'UNetMidBlock2DCrossAttn' : null,
    layers_per_block: sizes.count((layer) => `down_blocks.0.resnets.${layer}.conv1.weight`),
    // The last entry is the mid block's as well; blocks without attention do not look at theirs.
    transformer_layers_per_block: depths.map((depth, block) =>
      Math.max(block === depths.length - 1 && midDepth > 0 ? midDepth : depth, 1),
    ),
    cross_attention_dim: contextWidth,
    attention_head_dim: inferHeads(sizes, channels, contextWidth),
    use_linear_projection: sizes.find('.proj_in.weight')?.length === 2,
    ...(sizes.has('add_embedding.linear_1.weight') && {
      addition_embed_type: 'text_time',
      addition_time_embed_dim: contextWidth === EMOJI_WIDTH ? 32 : 256,
      projection_class_embeddings_input_dim: sizes.side('add_embedding.linear_1.weight', 1),
    }),
  };
}

/** diffusers' `attention_head_dim` is the number of heads: 4 in emoji-mini, 8 in SD 1.x, one for each 64 channels since. */
function inferHeads(sizes: Sizes, channels: readonly number[], contextWidth: number): number | number[] {
  if (contextWidth === EMOJI_WIDTH) return 4;
  if (contextWidth === 768) return 8;
  if ([1024, 1280, 2048].includes(contextWidth)) return channels.map((width) => width / 64);
  throw sizes.refuse(`it reads text features of ${contextWidth} numbers`);
}

function inferUnet(sizes: Sizes): InferredConfig {
  const common = inferDownBlocks(sizes);
  return {
    _class_name: 'UNet2DConditionModel',
    ...common,
    up_block_types: sizes.each(resnet('up'), (block) =>
      sizes.has(firstQuery(`up_blocks.${block}`)) ? 'CrossAttnUpBlock2D' : 'UpBlock2D',
    ),
    out_channels: sizes.side('conv_out.weight', 0),
    // SD 2.1 overflows float16 in its attention scores.
    upcast_attention: common['cross_attention_dim'] === 1024,
    time_cond_proj_dim: sizes.shape('time_embedding.cond_proj.weight')?.[1] ?? null,
  };
}

function inferControlNet(sizes: Sizes): InferredConfig {
  const hint = (block: number) => `controlnet_cond_embedding.blocks.${block}.weight`;
  return {
    _class_name: 'ControlNetModel',
    ...inferDownBlocks(sizes),
    conditioning_channels: sizes.side('controlnet_cond_embedding.conv_in.weight', 1),
    // Of each pair of convolutions the second widens.
    conditioning_embedding_out_channels: [
      sizes.side('controlnet_cond_embedding.conv_in.weight', 0),
      ...sizes.each(hint, (block) => sizes.side(hint(block), 0)).filter((_, block) => block % 2 === 1),
    ],
  };
}

function inferAutoencoder(sizes: Sizes): InferredConfig {
  if (sizes.has('latents.mean')) return { latent_channels: sizes.side('latents.mean', 0) };
  const block = (index: number) => `decoder.up_blocks.${index}.resnets.0.conv1.weight`;
  const channels = sizes.each(block, (index) => sizes.side(block(index), 0)).reverse();
  return {
    _class_name: 'AutoencoderKL',
    in_channels: sizes.shape('encoder.conv_in.weight')?.[1] ?? 3,
    out_channels: sizes.side('decoder.conv_out.weight', 0),
    latent_channels: sizes.side('decoder.conv_in.weight', 1),
    block_out_channels: channels,
    down_block_types: channels.map(() => 'DownEncoderBlock2D'),
    up_block_types: channels.map(() => 'UpDecoderBlock2D'),
    // The decoder has one layer more.
    layers_per_block: sizes.count((layer) => `decoder.up_blocks.0.resnets.${layer}.conv1.weight`) - 1,
    mid_block_add_attention: sizes.has('decoder.mid_block.attentions.0.to_q.weight'),
    use_quant_conv: sizes.has('quant_conv.weight'),
    use_post_quant_conv: sizes.has('post_quant_conv.weight'),
  };
}

/** The text encoder of emoji-mini; src/engine/architectures/emoji-mini.ts. */
function inferEmojiTextEncoder(sizes: Sizes): InferredConfig {
  const width = sizes.side('pos', 1);
  return {
    vocab_size: sizes.side('tok.weight', 0),
    max_position_embeddings: sizes.side('pos', 0),
    hidden_size: width,
    num_hidden_layers: sizes.count((layer) => `blocks.${layer}.qkv.weight`),
    num_attention_heads: width / 64,
    projection_dim: sizes.side('proj.weight', 0),
  };
}

function inferTextEncoder(sizes: Sizes): InferredConfig {
  if (sizes.has('tok.weight')) return inferEmojiTextEncoder(sizes);
  const width = sizes.side('text_model.embeddings.token_embedding.weight', 1);
  const layers = sizes.count((layer) => `text_model.encoder.layers.${layer}.mlp.fc1.weight`);
  const projection = sizes.shape('text_projection.weight')?.[0];
  const tokens = sizes.side('text_model.embeddings.position_embedding.weight', 0);
  if (tokens > CLIP_TOKENS) throw sizes.refuse(`it reads ${tokens} tokens at once`);
  return {
    architectures: [projection === undefined ? 'CLIPTextModel' : 'CLIPTextModelWithProjection'],
    model_type: 'clip_text_model',
    vocab_size: sizes.side('text_model.embeddings.token_embedding.weight', 0),
    max_position_embeddings: tokens,
    hidden_size: width,
    intermediate_size: sizes.side('text_model.encoder.layers.0.mlp.fc1.weight', 0),
    // SD 2.x reads the last layer but one; where the file has the last, transformers' configuration leaves it out.
    num_hidden_layers: width === 1024 && layers === 24 ? 23 : layers,
    num_attention_heads: width / 64,
    // OpenAI's models (Stable Diffusion uses ViT-L) approximate gelu; OpenCLIP's do not.
    hidden_act: width === 768 ? 'quick_gelu' : 'gelu',
    ...(projection !== undefined && { projection_dim: projection }),
  };
}

/** Heads of OpenCLIP's larger image encoders, ViT-H and ViT-bigG; others have one for each 64 numbers. */
const CLIP_HEADS: ReadonlyMap<number, number> = new Map([
  [1280, 16],
  [1664, 16],
]);

/** More layers than ViT-bigG, the largest, which has 48. */
const MOST_CLIP_LAYERS = 100;

function inferImageEncoder(sizes: Sizes): InferredConfig {
  const embeddings = 'vision_model.embeddings';
  const [width = 0, channels = 0, patch = 0] = sizes.shape(`${embeddings}.patch_embedding.weight`) ?? [];
  const layers = sizes.count((layer) => `vision_model.encoder.layers.${layer}.mlp.fc1.weight`);
  const patches = sizes.side(`${embeddings}.position_embedding.weight`, 0) - 1;
  const across = Math.sqrt(patches);
  const heads = CLIP_HEADS.get(width) ?? width / 64;
  if (!Number.isInteger(across) || across === 0) throw sizes.refuse(`it sees ${patches} patches`);
  if (!Number.isInteger(heads) || heads === 0) throw sizes.refuse(`its layers are ${width} numbers wide`);
  if (layers === 0 || layers > MOST_CLIP_LAYERS) throw sizes.refuse(`it has ${layers} layers`);
  if (channels !== 3 || patch === 0 || across * patch > MOST_CLIP_PIXELS)
    throw sizes.refuse(`it sees ${across * patch} pixels of ${channels} channels`);
  return {
    architectures: ['CLIPVisionModelWithProjection'],
    model_type: 'clip_vision_model',
    hidden_size: width,
    intermediate_size: sizes.side('vision_model.encoder.layers.0.mlp.fc1.weight', 0),
    num_hidden_layers: layers,
    num_attention_heads: heads,
    // OpenAI's models, up to ViT-L, approximate gelu; OpenCLIP's larger ones do not.
    hidden_act: width <= 1024 ? 'quick_gelu' : 'gelu',
    image_size: across * patch,
    patch_size: patch,
    projection_dim: sizes.shape('visual_projection.weight')?.[0] ?? null,
  };
}

/**
 * What an IP-Adapter reads and makes. Not a diffusers configuration: those files come without one.
 * Source: tencent-ailab/IP-Adapter, ip_adapter/ip_adapter.py.
 */
function inferIpAdapter(sizes: Sizes): InferredConfig {
  const width = sizes.side('ip_adapter.1.to_k_ip.weight', 1);
  const plain = sizes.shape('image_proj.proj.weight');
  if (plain) {
    const [out = 0, embedding = 0] = plain;
    const tokens = out / width;
    if (!Number.isInteger(tokens) || tokens === 0 || tokens > MOST_IMAGE_TOKENS)
      throw sizes.refuse(`it makes ${tokens} tokens`);
    return { cross_attention_dim: width, reads: 'image_embeds', input_width: embedding, tokens };
  }
  const [, queries] = sizes.shape('image_proj.latents') ?? [];
  if (queries !== undefined) {
    if (queries === 0 || queries > MOST_IMAGE_TOKENS) throw sizes.refuse(`it makes ${queries} tokens`);
    const input = sizes.side('image_proj.proj_in.weight', 1);
    return { cross_attention_dim: width, reads: 'hidden_states', input_width: input, tokens: queries };
  }
  // As many tokens as the encoder sees patches, and its class token.
  const input = sizes.side('image_proj.proj.0.weight', 1);
  return { cross_attention_dim: width, reads: 'hidden_states', input_width: input, tokens: null };
}

/**
 * A network doubles as often as it has convolutions for it. Real-ESRGAN's smaller scales fold 2 × 2 or 4 × 4 pixels into
 * channels first and then upscale four times as well.
 */
function inferUpscaler(sizes: Sizes): InferredConfig {
  const doublings = sizes.count((index) => `conv_up${index + 1}.weight`);
  const inputs = sizes.side('conv_first.weight', 1);
  const folded = inputs === 12 ? 2 : inputs === 48 ? 4 : 1;
  const scale = 2 ** doublings / folded;
  if (doublings > MAX_DOUBLINGS || scale < 1) throw sizes.refuse(`it upscales ${scale} times`);
  return {
    num_in_ch: inputs / folded ** 2,
    num_out_ch: sizes.side('conv_last.weight', 0),
    scale,
    pixel_unshuffle: folded,
  };
}
