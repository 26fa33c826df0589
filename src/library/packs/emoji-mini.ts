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
      sizeBytes: 5_990_735,
      sha256: '7ed8ed219b3ee3516ae75cab4b7b40a5528e982c2128da8e972b4474273371a7',
    },
    {
      path: 'unet/model.safetensors',
      sizeBytes: 13_688_036,
      sha256: '54aa799bd4a783729926d9b07912c8bbb1fffee6c395e0448bdd19fe269ed61b',
    },
    {
      path: 'vae/model.safetensors',
      sizeBytes: 4_779_490,
      sha256: '699dc26ccefeb974f7a8bbc44d2579a4a9db2a35027a6b257fc60eaae817d063',
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
