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
      sizeBytes: 5_884_240,
      sha256: 'cfb87d7b886a675f4803b29bf123aae9c94efaec78041886afcb7777d687042b',
    },
    {
      path: 'unet/model.safetensors',
      sizeBytes: 13_853_220,
      sha256: '471ab7f65f2172dfae907683d1fcd67fd1b6c93a2a8f42b8693b130763b98f6a',
    },
    {
      path: 'vae/model.safetensors',
      sizeBytes: 4_737_180,
      sha256: 'a3f0dd3ae1d80cc2b01b128e9e27e2b1821e2c38efbe6d8224bf749df32db954',
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
    steps: 10,
    guidanceScale: 4,
    sampler: 'dpmpp_2m',
    schedule: 'automatic',
  },
};
