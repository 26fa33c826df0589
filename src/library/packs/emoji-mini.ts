import type { ModelPack } from '#protocol/model.ts';

/** The built-in model; public/models/emoji-mini/README.md is its card. */
export const emojiMini: ModelPack = {
  id: 'emoji-mini',
  title: 'Emoji Mini',
  description: 'Stickers and icons in six styles, 256×256. Small enough to come with the app.',
  kind: 'model',
  family: 'emoji-mini',
  weights: 'onnx',
  url: 'models/emoji-mini/',
  files: [
    {
      path: 'model_index.json',
      sizeBytes: 378,
      sha256: 'faa219cbb9b19e630edb2f3907ec883ff7d11491b47224dc87c6941ebebcf5e0',
    },
    {
      path: 'scheduler/scheduler_config.json',
      sizeBytes: 298,
      sha256: 'd16df6363a7ea7392012fe69a26f5fee63fdbac308eb5a8450746ff5709f399b',
    },
    {
      path: 'tokenizer/vocab.json',
      sizeBytes: 961_143,
      sha256: '3f0c4f7d2086b61b38487075278ea9ed04edb53a03cbb045b86c27190fa8fb69',
    },
    {
      path: 'tokenizer/merges.txt',
      sizeBytes: 524_619,
      sha256: '9fd691f7c8039210e0fced15865466c65820d09b63988b0174bfe25de299051a',
    },
    {
      path: 'tokenizer/tokenizer_config.json',
      sizeBytes: 190,
      sha256: '795fa0e009f7ddb1c106c492c3d3c30dc9453b08f66a7fad317ac564437516f6',
    },
    {
      path: 'text_encoder/model.onnx',
      sizeBytes: 6_796_975,
      sha256: 'c2d013e962bcc1794a85c16b81b4d2a5b8d95dd73d6822544afd7d055fbc14b7',
    },
    {
      path: 'unet/config.json',
      sizeBytes: 412,
      sha256: '53be9f0811e223af546ec1e4b88b70d4cc5e926ac097cc106cb45a29a5df10f5',
    },
    {
      path: 'unet/model.onnx',
      sizeBytes: 21_963_381,
      sha256: '0e0af9dfe160307665617cd2a3a855d1b07ea296fc65d329149c9c50c5a4f317',
    },
    {
      path: 'vae_decoder/model.onnx',
      sizeBytes: 5_770_932,
      sha256: '14187019bc5f2c11dfc03f26fa54cc7f27c8ae6ad5a637c1df950fd3fbde9760',
    },
    {
      path: 'vae_encoder/model.onnx',
      sizeBytes: 4_781_192,
      sha256: 'fb1f68e0877b7465a10eb4819ad1b5938c435069505a2c902a8fdc9c6df10724',
    },
  ],
  licence: { name: 'MIT' },
  credits: 'Trained for Vitrine on Fluent Emoji (Microsoft, MIT) and Noto Emoji (Google, Apache-2.0).',
  trainedSizes: [[256, 256]],
  // Two halvings in the UNet, each of which must come out even.
  latent: { channels: 16, downscale: 16, sizeMultiple: 64, scalingFactor: 1 },
  defaults: {
    width: 256,
    height: 256,
    steps: 20,
    guidanceScale: 4,
    sampler: 'dpmpp_2m',
    schedule: 'automatic',
  },
};
