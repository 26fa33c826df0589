import type { ModelFamily, ModelPack } from './model.ts';

/** Latents at the UNet's scale to red, green and blue in −1 … 1, cell by cell. */
export interface PreviewMap {
  /** Of each latent channel into each colour. */
  weights: readonly (readonly [red: number, green: number, blue: number])[];
  bias: readonly [red: number, green: number, blue: number];
}

/** What a family of models has in common and its files do not state. */
export interface FamilyFacts {
  title: string;
  /** For one line among other facts: `SDXL`. */
  shortTitle: string;
  /** Numbers per token that the UNet's cross-attention reads: those of all text encoders together. */
  textWidth: number;
  /** Numbers per token of each text encoder's table, and the text its input is padded with. */
  textEncoders: readonly { width: number; padding: string }[];
  /** See {@link ModelPack.sizing}. */
  sizing: ModelPack['sizing'];
  trainedSizes: ModelPack['trainedSizes'];
  latent: ModelPack['latent'];
  /** What previews are made by. */
  previewMap: PreviewMap;
  /** Whether the VAE's activations pass float16's largest number, so that it has to run in float32. */
  upcastsVae: boolean;
  /** Which of the published Align Your Steps schedules is its own. */
  alignYourSteps: 'sd1' | 'sdxl';
}

const END_OF_TEXT = '<|endoftext|>';

/** OpenCLIP pads with id 0. Repositories of SD 2 disagree with themselves about it. */
const OPENCLIP_PADDING = '!';

/** Sizes SDXL was trained for that A1111's and Fooocus's users ask for most (arXiv 2307.01952, appendix I). */
const SDXL_SIDES: readonly (readonly [number, number])[] = [
  [1152, 896],
  [1216, 832],
  [1344, 768],
  [1536, 640],
];

/** A1111's "Approx cheap" of SD 1 and SD 2 (modules/sd_vae_approx.py). */
const SD_PREVIEW: PreviewMap = {
  weights: [
    [0.298, 0.207, 0.208],
    [0.187, 0.286, 0.173],
    [-0.158, 0.189, 0.264],
    [-0.184, -0.271, -0.473],
  ],
  bias: [0, 0, 0],
};

/** The same of SDXL. */
const SDXL_PREVIEW: PreviewMap = {
  weights: [
    [0.3448, 0.4168, 0.4395],
    [-0.1953, -0.029, 0.025],
    [0.1074, 0.0886, -0.0163],
    [-0.373, -0.2499, -0.2088],
  ],
  bias: [0, 0, 0],
};

/** Made by test/docs/fit-preview.ts. */
const EMOJI_PREVIEW: PreviewMap = {
  weights: [
    [0.0096, -0.1073, -0.0648],
    [0.0401, 0.0438, -0.0355],
    [0.1014, 0.0308, 0.075],
    [0.2363, 0.0888, 0.0538],
    [0.0055, -0.1001, -0.1879],
    [0.0357, -0.0247, -0.0695],
    [-0.078, -0.1337, -0.1651],
    [0.0123, 0.0537, 0.019],
    [0.0384, -0.0199, 0.0133],
    [-0.0297, 0.1836, -0.1154],
    [-0.1234, 0.0265, 0.0551],
    [-0.1088, -0.0184, 0.0673],
    [0.0212, -0.0155, -0.0683],
    [0.0111, 0.0192, -0.0841],
    [-0.0668, -0.03, 0.0093],
    [-0.0633, -0.013, -0.0331],
  ],
  bias: [0.6007, 0.484, 0.4235],
};

/** Sources: the `config.json` files of the families' repositories on the Hugging Face hub. */
export const families: Readonly<Record<ModelFamily, FamilyFacts>> = {
  'emoji-mini': {
    title: 'Emoji Mini',
    shortTitle: 'Emoji Mini',
    textWidth: 256,
    textEncoders: [{ width: 256, padding: END_OF_TEXT }],
    sizing: 'trained',
    trainedSizes: [[256, 256]],
    // The UNet halves twice; each half must be even.
    latent: { channels: 16, downscale: 16, sizeMultiple: 64, scalingFactor: 1 },
    previewMap: EMOJI_PREVIEW,
    upcastsVae: false,
    alignYourSteps: 'sd1',
  },
  sd1: {
    title: 'Stable Diffusion 1',
    shortTitle: 'SD 1',
    textWidth: 768,
    textEncoders: [{ width: 768, padding: END_OF_TEXT }],
    sizing: 'exact',
    trainedSizes: [[512, 512]],
    latent: { channels: 4, downscale: 8, sizeMultiple: 64, scalingFactor: 0.18215 },
    previewMap: SD_PREVIEW,
    upcastsVae: false,
    alignYourSteps: 'sd1',
  },
  sd2: {
    title: 'Stable Diffusion 2',
    shortTitle: 'SD 2',
    textWidth: 1024,
    textEncoders: [{ width: 1024, padding: OPENCLIP_PADDING }],
    sizing: 'exact',
    trainedSizes: [[512, 512]],
    latent: { channels: 4, downscale: 8, sizeMultiple: 64, scalingFactor: 0.18215 },
    previewMap: SD_PREVIEW,
    upcastsVae: false,
    alignYourSteps: 'sd1',
  },
  sdxl: {
    title: 'Stable Diffusion XL',
    shortTitle: 'SDXL',
    textWidth: 2048,
    textEncoders: [
      { width: 768, padding: END_OF_TEXT },
      { width: 1280, padding: OPENCLIP_PADDING },
    ],
    sizing: 'exact',
    trainedSizes: [
      [1024, 1024],
      ...SDXL_SIDES,
      ...SDXL_SIDES.map(([long, short]): readonly [number, number] => [short, long]),
    ],
    latent: { channels: 4, downscale: 8, sizeMultiple: 64, scalingFactor: 0.13025 },
    previewMap: SDXL_PREVIEW,
    upcastsVae: true,
    alignYourSteps: 'sdxl',
  },
  'sdxl-refiner': {
    title: 'Stable Diffusion XL Refiner',
    shortTitle: 'SDXL Refiner',
    textWidth: 1280,
    textEncoders: [{ width: 1280, padding: OPENCLIP_PADDING }],
    sizing: 'exact',
    trainedSizes: [[1024, 1024]],
    latent: { channels: 4, downscale: 8, sizeMultiple: 64, scalingFactor: 0.13025 },
    previewMap: SDXL_PREVIEW,
    upcastsVae: true,
    alignYourSteps: 'sdxl',
  },
};

const known = Object.keys(families) as ModelFamily[];

/** The family whose UNets read text features of this width; undefined where no family does. */
export function familyByTextWidth(width: number): ModelFamily | undefined {
  return known.find((family) => families[family].textWidth === width);
}

/** The first family with a text encoder of this width; undefined where no family has one. */
export function familyByEncoderWidth(width: number): ModelFamily | undefined {
  return known.find((family) => families[family].textEncoders.some((encoder) => encoder.width === width));
}
