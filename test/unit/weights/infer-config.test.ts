import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  buildAutoencoderKlDecoder,
  buildAutoencoderKlEncoder,
} from '#engine/architectures/autoencoder-kl.ts';
import { buildClipText } from '#engine/architectures/clip-text.ts';
import { buildClipVision } from '#engine/architectures/clip-vision.ts';
import { buildUnet2dCondition } from '#engine/architectures/unet-2d-condition.ts';
import { type Component, openCheckpoint } from '#weights/checkpoint.ts';
import { inferConfig } from '#weights/infer-config.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import names from '../../fixtures/checkpoint-names.json' with { type: 'json' };
import { readEmoji } from '../../support/emoji-weights.ts';
import { EMOJI_MINI } from '../../support/node-engine.ts';
import { clipVisionShapes, ipAdapterShapes, projectionShapes } from '../../support/tiny-image-prompt.ts';
import { headerOf } from './tensors.ts';

type Row = [original: string, diffusers: string, shape: number[]];

/** A network of a single file with these original names. */
function networkOf(component: Component, list: unknown): TensorSource {
  const file = headerOf((list as Row[]).map(([name, , shape]) => ({ name, type: 'float32', shape })));
  const network = openCheckpoint(file).components.get(component);
  if (!network) throw new Error(`no ${component}`);
  return network;
}

const unet15 = networkOf('unet', names.sd15.unet);
const unetXl = networkOf('unet', names.sdxl.unet);
const vae = networkOf('vae', names.sd15.vae);
const clip = networkOf('text_encoder', names.sd15.text_encoder);
const bigG = headerOf(
  (names.sdxl.text_encoder_2_diffusers_names as [string, number[]][]).map(([name, shape]) => ({
    name,
    type: 'float32',
    shape,
  })),
);

describe('what the published config.json says', () => {
  test('UNet of SD 1.5', () => {
    expect(inferConfig('unet', unet15)).toMatchObject({
      in_channels: 4,
      out_channels: 4,
      block_out_channels: [320, 640, 1280, 1280],
      down_block_types: [
        'CrossAttnDownBlock2D',
        'CrossAttnDownBlock2D',
        'CrossAttnDownBlock2D',
        'DownBlock2D',
      ],
      up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D'],
      layers_per_block: 2,
      transformer_layers_per_block: [1, 1, 1, 1],
      cross_attention_dim: 768,
      attention_head_dim: 8,
      use_linear_projection: false,
      time_cond_proj_dim: null,
    });
  });

  test('UNet of the built-in model', async () => {
    const published = JSON.parse(readFileSync(path.join(EMOJI_MINI, 'unet/config.json'), 'utf8')) as Record<
      string,
      unknown
    >;
    const inferred = inferConfig('unet', await readEmoji('unet', 'int8'));
    for (const key of [
      'in_channels',
      'block_out_channels',
      'cross_attention_dim',
      'attention_head_dim',
      'addition_embed_type',
      'addition_time_embed_dim',
      'projection_class_embeddings_input_dim',
    ])
      expect(inferred[key], key).toEqual(published[key]);
  });

  test('UNet of SDXL', () => {
    expect(inferConfig('unet', unetXl)).toMatchObject({
      block_out_channels: [320, 640, 1280],
      down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D'],
      transformer_layers_per_block: [1, 2, 10],
      cross_attention_dim: 2048,
      attention_head_dim: [5, 10, 20],
      use_linear_projection: true,
      addition_embed_type: 'text_time',
      addition_time_embed_dim: 256,
      projection_class_embeddings_input_dim: 2816,
    });
  });

  test('VAE and text encoders', () => {
    expect(inferConfig('vae', vae)).toMatchObject({
      latent_channels: 4,
      block_out_channels: [128, 256, 512, 512],
      layers_per_block: 2,
    });
    expect(inferConfig('text_encoder', clip)).toMatchObject({
      hidden_size: 768,
      intermediate_size: 3072,
      num_hidden_layers: 12,
      num_attention_heads: 12,
      hidden_act: 'quick_gelu',
      vocab_size: 49408,
      max_position_embeddings: 77,
    });
    expect(inferConfig('text_encoder_2', bigG)).toMatchObject({
      architectures: ['CLIPTextModelWithProjection'],
      hidden_size: 1280,
      num_hidden_layers: 32,
      num_attention_heads: 20,
      hidden_act: 'gelu',
      projection_dim: 1280,
    });
  });
});

describe('graphs built with it consume every tensor', () => {
  test('the UNets', () => {
    for (const weights of [unet15, unetXl]) {
      const graph = buildUnet2dCondition(inferConfig('unet', weights), { weights });
      expect(graph.unused).toEqual([]);
      expect(graph.generated).toBeUndefined();
    }
  });

  test('the VAE, whose encoder and decoder share it', () => {
    const config = inferConfig('vae', vae);
    const used = [
      buildAutoencoderKlEncoder(config, { weights: vae }),
      buildAutoencoderKlDecoder(config, { weights: vae }),
    ]
      .flatMap((graph) => graph.parameters.map(({ name }) => name))
      .sort();
    expect(used).toEqual([...vae.names()].sort());
  });

  test('the text encoders', () => {
    const first = buildClipText(inferConfig('text_encoder', clip), {
      weights: clip,
      outputs: ['last_hidden_state'],
    });
    expect(first.unused).toEqual([]);
    const second = buildClipText(inferConfig('text_encoder_2', bigG), {
      weights: bigG,
      outputs: ['hidden_states.31', 'text_embeds'],
    });
    expect(second.unused).toEqual([]);
  });
});

test.each([
  { inputs: 3, doublings: 2, scale: 4, folded: 1 },
  { inputs: 12, doublings: 2, scale: 2, folded: 2 },
  { inputs: 48, doublings: 2, scale: 1, folded: 4 },
  { inputs: 3, doublings: 1, scale: 2, folded: 1 },
  { inputs: 3, doublings: 0, scale: 1, folded: 1 },
  { inputs: 3, doublings: 3, scale: 8, folded: 1 },
])('an ESRGAN upscaler of $inputs input channels that doubles $doublings times', (known) => {
  const { inputs, doublings, scale, folded } = known;
  const ups = Array.from({ length: doublings }, (_, index) => `conv_up${index + 1}`);
  const tensors = ['conv_first', 'body.0.rdb1.conv1', ...ups, 'conv_last'].map((name) => ({
    name: `${name}.weight`,
    type: 'float32' as const,
    shape: name === 'conv_first' ? [64, inputs, 3, 3] : name === 'conv_last' ? [3, 64, 3, 3] : [64, 64, 3, 3],
  }));
  expect(inferConfig('upscaler', headerOf(tensors))).toEqual({
    num_in_ch: 3,
    num_out_ch: 3,
    scale,
    pixel_unshuffle: folded,
  });
});

test('a network of no known family is refused', () => {
  const tiny = headerOf([
    { name: 'conv_in.weight', type: 'float32', shape: [16, 4, 3, 3] },
    { name: 'down_blocks.0.resnets.0.conv1.weight', type: 'float32', shape: [16, 16, 3, 3] },
    {
      name: 'down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight',
      type: 'float32',
      shape: [16, 32],
    },
  ]);
  expect(() => inferConfig('unet', tiny)).toThrow(
    expect.objectContaining({
      code: 'unsupported_feature',
      message: expect.stringContaining('features of 32') as string,
    }),
  );
});

describe('image encoders and IP-Adapters', () => {
  const shapesOf = (shapes: Readonly<Record<string, readonly number[]>>): TensorSource =>
    headerOf(Object.entries(shapes).map(([name, shape]) => ({ name, type: 'float16', shape })));

  test.each([
    ['ViT-H', { width: 1280, patch: 14, side: 224, projection: 1024 }, 16, 'gelu'],
    ['ViT-bigG', { width: 1664, patch: 14, side: 224, projection: 1280 }, 16, 'gelu'],
    ['ViT-L', { width: 1024, patch: 14, side: 224, projection: 768 }, 16, 'quick_gelu'],
    ['ViT-L of 336 pixels', { width: 1024, patch: 14, side: 336, projection: 768 }, 16, 'quick_gelu'],
  ])('%s', (_, sizes, heads, activation) => {
    expect(inferConfig('image_encoder', shapesOf(clipVisionShapes(sizes)))).toMatchObject({
      hidden_size: sizes.width,
      num_hidden_layers: 2,
      num_attention_heads: heads,
      hidden_act: activation,
      image_size: sizes.side,
      patch_size: 14,
      projection_dim: sizes.projection,
    });
  });

  test('an encoder without config.json makes a graph', () => {
    const weights = shapesOf(clipVisionShapes());
    const { outputs, unused } = buildClipVision(inferConfig('image_encoder', weights), { weights });
    expect(outputs.map(({ name }) => name)).toEqual(['image_embeds', 'hidden_states.1']);
    expect(unused).toEqual([]);
  });

  test.each([
    ['plain', 1024, { reads: 'image_embeds', input_width: 1024, tokens: 4 }],
    ['plus', 1280, { reads: 'hidden_states', input_width: 1280, tokens: 3 }],
    ['full', 1280, { reads: 'hidden_states', input_width: 1280, tokens: null }],
  ] as const)('an IP-Adapter of the %s layout', (layout, input, expected) => {
    const shapes = { ...projectionShapes[layout](input, 768), ...ipAdapterShapes([320], 768) };
    expect(inferConfig('ip_adapter', shapesOf(shapes))).toEqual({ cross_attention_dim: 768, ...expected });
  });

  test.each([
    [
      'image_encoder',
      { ...clipVisionShapes(), 'vision_model.embeddings.position_embedding.weight': [18, 64] },
    ],
    ['image_encoder', clipVisionShapes({ width: 100 })],
    ['image_encoder', clipVisionShapes({ layers: 0 })],
    ['image_encoder', clipVisionShapes({ patch: 512, side: 2048 })],
    ['ip_adapter', { ...projectionShapes.plain(1024, 700), ...ipAdapterShapes([320], 768) }],
    ['ip_adapter', { 'image_proj.latents': [1, 1e6, 64], ...ipAdapterShapes([320], 768) }],
    ['ip_adapter', ipAdapterShapes([320], 768)],
  ] as const)('an %s of impossible sizes is refused', (component, shapes) => {
    expect(() => inferConfig(component, shapesOf(shapes))).toThrow(/of an unknown kind/);
  });
});
