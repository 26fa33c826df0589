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
      sizeBytes: 4_809_037,
      sha256: '4be6a54aa73d0c528e96009ab8a5ee66297fca77631edf17722d6167485f4e1a',
    },
    {
      path: 'unet/model.safetensors',
      sizeBytes: 13_209_093,
      sha256: '34febf191ee284b44cfc68fe8573d5c9b0094195a1730b9237084f229674c607',
    },
    {
      path: 'vae/model.safetensors',
      sizeBytes: 5_780_993,
      sha256: 'f80ba56b2769be96c1d234d6baf4821048edf410f38e81bf5a869ce19db19ee9',
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
