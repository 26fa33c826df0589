import { families } from '#protocol/families.ts';
import type { ModelPack } from '#protocol/model.ts';

const { sizing, trainedSizes, latent } = families['emoji-mini'];

/** The built-in model; public/models/emoji-mini/README.md is its card. Its files are made by test/docs/quantise-built-in.ts. */
export const emojiMini: ModelPack = {
  id: 'emoji-mini',
  title: 'Emoji Mini',
  description: 'Stickers and icons in six styles, 256×256. Small enough to come with the app.',
  kind: 'model',
  family: 'emoji-mini',
  weights: 'safetensors',
  url: 'models/emoji-mini/',
  files: [
    {
      path: 'scheduler/scheduler_config.json',
      sizeBytes: 298,
      sha256: 'd16df6363a7ea7392012fe69a26f5fee63fdbac308eb5a8450746ff5709f399b',
    },
    {
      path: 'tokenizer/merges.txt',
      sizeBytes: 524_619,
      sha256: '9fd691f7c8039210e0fced15865466c65820d09b63988b0174bfe25de299051a',
    },
    {
      path: 'unet/config.json',
      sizeBytes: 412,
      sha256: '53be9f0811e223af546ec1e4b88b70d4cc5e926ac097cc106cb45a29a5df10f5',
    },
    {
      path: 'text_encoder/model.safetensors',
      sizeBytes: 6_699_536,
      sha256: '891ebdff3afe97780c8118f9f92f1ea13cd34113a3c2dc550f1105f3ae8e002c',
    },
    {
      path: 'unet/model.safetensors',
      sizeBytes: 21_638_456,
      sha256: 'f4788e23b5b2deb47a7fd9b17790823e91bb08b84ccd407ee87002488ec6d12d',
    },
    {
      path: 'vae/model.safetensors',
      sizeBytes: 10_522_700,
      sha256: 'd2b60c02dc2478840f60e73add72301b02301f0e566d9dccd3b0089e78cd6b2a',
    },
  ],
  licence: { name: 'MIT' },
  credits: 'Trained for Vitrine on Fluent Emoji (Microsoft, MIT) and Noto Emoji (Google, Apache-2.0).',
  sizing,
  trainedSizes,
  latent,
  defaults: {
    width: 256,
    height: 256,
    steps: 20,
    guidanceScale: 4,
    sampler: 'dpmpp_2m',
    schedule: 'automatic',
  },
};
