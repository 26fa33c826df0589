import type { ConfigJson } from './config.ts';

/*
 * The configurations of the families whose single-file checkpoints come without a config.json, as their diffusers
 * repositories publish them; keys left out have the reference's defaults.
 */

const sd1Unet = {
  _class_name: 'UNet2DConditionModel',
  attention_head_dim: 8,
  block_out_channels: [320, 640, 1280, 1280],
  cross_attention_dim: 768,
  down_block_types: ['CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'DownBlock2D'],
  in_channels: 4,
  layers_per_block: 2,
  out_channels: 4,
  sample_size: 64,
  up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D'],
} as const satisfies ConfigJson;

const sd2Unet = {
  ...sd1Unet,
  attention_head_dim: [5, 10, 20, 20],
  cross_attention_dim: 1024,
  use_linear_projection: true,
} as const satisfies ConfigJson;

const sdxlUnet = {
  _class_name: 'UNet2DConditionModel',
  addition_embed_type: 'text_time',
  addition_time_embed_dim: 256,
  attention_head_dim: [5, 10, 20],
  block_out_channels: [320, 640, 1280],
  cross_attention_dim: 2048,
  down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D'],
  in_channels: 4,
  layers_per_block: 2,
  out_channels: 4,
  projection_class_embeddings_input_dim: 2816,
  sample_size: 128,
  transformer_layers_per_block: [1, 2, 10],
  up_block_types: ['CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'UpBlock2D'],
  use_linear_projection: true,
} as const satisfies ConfigJson;

const sdxlRefinerUnet = {
  ...sdxlUnet,
  attention_head_dim: [6, 12, 24, 24],
  block_out_channels: [384, 768, 1536, 1536],
  cross_attention_dim: 1280,
  down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'DownBlock2D'],
  projection_class_embeddings_input_dim: 2560,
  transformer_layers_per_block: 4,
  up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'UpBlock2D'],
} as const satisfies ConfigJson;

const vae = {
  _class_name: 'AutoencoderKL',
  block_out_channels: [128, 256, 512, 512],
  down_block_types: ['DownEncoderBlock2D', 'DownEncoderBlock2D', 'DownEncoderBlock2D', 'DownEncoderBlock2D'],
  in_channels: 3,
  latent_channels: 4,
  layers_per_block: 2,
  norm_num_groups: 32,
  out_channels: 3,
  sample_size: 512,
  scaling_factor: 0.18215,
  up_block_types: ['UpDecoderBlock2D', 'UpDecoderBlock2D', 'UpDecoderBlock2D', 'UpDecoderBlock2D'],
} as const satisfies ConfigJson;

/** CLIP ViT-L/14's text half. */
const clipL = {
  architectures: ['CLIPTextModel'],
  eos_token_id: 49407,
  hidden_act: 'quick_gelu',
  hidden_size: 768,
  intermediate_size: 3072,
  num_attention_heads: 12,
  num_hidden_layers: 12,
  projection_dim: 768,
} as const satisfies ConfigJson;

/** OpenCLIP ViT-H/14's text half; Stable Diffusion 2 stops before its last layer. */
const openClipH = {
  architectures: ['CLIPTextModel'],
  eos_token_id: 49407,
  hidden_act: 'gelu',
  hidden_size: 1024,
  intermediate_size: 4096,
  num_attention_heads: 16,
  num_hidden_layers: 23,
  projection_dim: 512,
} as const satisfies ConfigJson;

/** OpenCLIP ViT-bigG/14's text half. */
const openClipBigG = {
  architectures: ['CLIPTextModelWithProjection'],
  eos_token_id: 49407,
  hidden_act: 'gelu',
  hidden_size: 1280,
  intermediate_size: 5120,
  num_attention_heads: 20,
  num_hidden_layers: 32,
  projection_dim: 1280,
} as const satisfies ConfigJson;

/** Configurations by family and part, under the folder names of diffusers repositories. */
export const families = {
  'stable-diffusion-1': { unet: sd1Unet, vae, text_encoder: clipL },
  'stable-diffusion-2': { unet: sd2Unet, vae, text_encoder: openClipH },
  'stable-diffusion-xl': {
    unet: sdxlUnet,
    vae: { ...vae, sample_size: 1024, scaling_factor: 0.13025, force_upcast: true },
    text_encoder: clipL,
    text_encoder_2: openClipBigG,
  },
  'stable-diffusion-xl-refiner': {
    unet: sdxlRefinerUnet,
    vae: { ...vae, sample_size: 1024, scaling_factor: 0.13025, force_upcast: true },
    text_encoder_2: openClipBigG,
  },
} as const satisfies Record<string, Readonly<Record<string, ConfigJson>>>;

export type FamilyName = keyof typeof families;
