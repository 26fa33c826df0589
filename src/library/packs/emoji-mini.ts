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
      sizeBytes: 528,
      sha256: 'b54b94b3e77dc643aef41b1fdf715f8bd202075ffb2d9e791c0ac11a5d6abb53',
    },
    {
      path: 'text_encoder/model.safetensors',
      sizeBytes: 5_422_628,
      sha256: 'cabe64c8d8516279fa69016f06a704f351addbc256a8c86b637dd5666633c381',
    },
    {
      path: 'unet/model.safetensors',
      sizeBytes: 14_510_357,
      sha256: '315198b71caa24ea8f9ab6ef20e78c15d1259eb24621ee84cb2e432ee8c2dd9d',
    },
    {
      path: 'vae/model.safetensors',
      sizeBytes: 4_515_123,
      sha256: '18413d024efacc1fc359ec0c82ded6b36052b508c61004df79de0d8e15ffa7eb',
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
