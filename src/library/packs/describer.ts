import { INCLUDED } from '#protocol/included.ts';
import { include } from './include.ts';

/** Describes images of the built-in model. Its files are made by test/docs/make-describer.ts. */
export const describer = include(
  {
    ...INCLUDED.describer,
    title: 'Emoji Mini describer',
    description: 'Names what images of Emoji Mini show. It knows no other images.',
    network: 'emoji-mini',
    licence: { name: 'MIT' },
    credits:
      'Trained for Vitrine on Fluent Emoji (Microsoft, MIT) and Noto Emoji (Google, Apache-2.0); words from emojibase-data (MIT).',
  },
  [
    {
      path: 'vae_encoder.onnx',
      sizeBytes: 20_879,
      sha256: 'd3d0f8e1976b7b365e0b7fd3823288ef82951e1571b3a0df3287d9d9969b8010',
    },
    {
      path: 'vae_encoder.weights',
      sizeBytes: 4_768_580,
      sha256: 'c6703e079192cb5003192d50d43dda651a76fdfb0652973e6fa683604ff92b6b',
    },
    {
      path: 'image_head.onnx',
      sizeBytes: 4_771,
      sha256: '3f7bd074cadcd67439e35bc94f9458c6a0dd366f019dfd9395ebf3a2c2b46299',
    },
    {
      path: 'image_head.weights',
      sizeBytes: 2_699_264,
      sha256: '4a5297f15a11d7497a3bd4bd7973370f2d84c6863727bc8f0b670ced432d26f0',
    },
    {
      path: 'phrases.safetensors',
      sizeBytes: 527_368,
      sha256: '70bf648f1c20b722008c81a4316d58b17c82a1e0adfa660e03fe4eeb66df368e',
    },
    {
      path: 'phrases.json',
      sizeBytes: 137_433,
      sha256: '7ec2f41787e89a6e25e403331c676d0e30864babb8a56ab7e0effeb8ee645e28',
    },
  ],
);
