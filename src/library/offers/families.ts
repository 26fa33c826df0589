import type { Component } from '#engine/weights/checkpoint.ts';
import type { ConfigFile, ModelDefaults, ModelFamily, ModelPack, PackFile } from '#protocol/model.ts';

/** Families whose models can be imported. */
export type ImportedFamily = Exclude<ModelFamily, 'emoji-mini'>;

export type Prediction = 'epsilon' | 'v_prediction';

/** What no tensor shows of a family. */
interface FamilyFacts {
  title: string;
  components: readonly Component[];
  trainedSizes: ModelPack['trainedSizes'];
  /** Of the VAE's configuration. SDXL's activations pass float16's largest number. */
  autoencoder: { scaling_factor: number; force_upcast?: boolean };
  /** Values of the family's `scheduler_config.json` on the Hub, besides the noise schedule all share. */
  scheduler: ConfigFile;
  pipeline: ConfigFile;
  /** What each tokenizer pads with. */
  padTokens: Readonly<Record<string, string>>;
}

const END_OF_TEXT = '<|endoftext|>';

/** Sizes SDXL was trained for that A1111's and Fooocus's users ask for most (arXiv 2307.01952, appendix I). */
const SDXL_SIDES: readonly (readonly [number, number])[] = [
  [1152, 896],
  [1216, 832],
  [1344, 768],
  [1536, 640],
];

const PNDM = { _class_name: 'PNDMScheduler', skip_prk_steps: true, set_alpha_to_one: false } as const;

export const families: Readonly<Record<ImportedFamily, FamilyFacts>> = {
  sd1: {
    title: 'SD 1',
    components: ['unet', 'vae', 'text_encoder'],
    trainedSizes: [[512, 512]],
    autoencoder: { scaling_factor: 0.18215 },
    scheduler: PNDM,
    pipeline: { _class_name: 'StableDiffusionPipeline' },
    padTokens: { tokenizer: END_OF_TEXT },
  },
  sd2: {
    title: 'SD 2',
    components: ['unet', 'vae', 'text_encoder'],
    trainedSizes: [[512, 512]],
    autoencoder: { scaling_factor: 0.18215 },
    scheduler: PNDM,
    pipeline: { _class_name: 'StableDiffusionPipeline' },
    padTokens: { tokenizer: '!' },
  },
  sdxl: {
    title: 'SDXL',
    components: ['unet', 'vae', 'text_encoder', 'text_encoder_2'],
    trainedSizes: [
      [1024, 1024],
      ...SDXL_SIDES,
      ...SDXL_SIDES.map(([long, short]): readonly [number, number] => [short, long]),
    ],
    autoencoder: { scaling_factor: 0.13025, force_upcast: true },
    scheduler: { _class_name: 'EulerDiscreteScheduler', timestep_spacing: 'leading' },
    pipeline: { _class_name: 'StableDiffusionXLPipeline', force_zeros_for_empty_prompt: true },
    padTokens: { tokenizer: END_OF_TEXT, tokenizer_2: '!' },
  },
};

/** Stable Diffusion's noise schedule, the same in every family (`scheduler_config.json` of the Hub's repositories). */
const NOISE_SCHEDULE = {
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  num_train_timesteps: 1000,
  clip_sample: false,
  steps_offset: 1,
  trained_betas: null,
} as const;

/** Ways of distilling a model to few steps, as people name such models, and what these then want. */
const DISTILLED: readonly (readonly [
  name: RegExp,
  defaults: Pick<ModelDefaults, 'steps' | 'guidanceScale' | 'sampler' | 'schedule'>,
])[] = [
  [/turbo/i, { steps: 4, guidanceScale: 1, sampler: 'euler_ancestral', schedule: 'sgm_uniform' }],
  [/lightning|hyper/i, { steps: 8, guidanceScale: 1, sampler: 'euler', schedule: 'sgm_uniform' }],
  [/(?:^|[^a-z])lcm(?:[^a-z]|$)/i, { steps: 6, guidanceScale: 1, sampler: 'lcm', schedule: 'sgm_uniform' }],
];

const USUAL = { steps: 25, guidanceScale: 7, sampler: 'dpmpp_2m', schedule: 'karras' } as const;

/** CLIP's tokenizer, which every family uses, as it lies beside the app. */
const TOKENIZER_FILES: readonly PackFile[] = [
  {
    path: 'tokenizer/vocab.json',
    sizeBytes: 961_143,
    sha256: '3f0c4f7d2086b61b38487075278ea9ed04edb53a03cbb045b86c27190fa8fb69',
    url: 'models/emoji-mini/tokenizer/vocab.json',
  },
  {
    path: 'tokenizer/merges.txt',
    sizeBytes: 524_619,
    sha256: '9fd691f7c8039210e0fced15865466c65820d09b63988b0174bfe25de299051a',
    url: 'models/emoji-mini/tokenizer/merges.txt',
  },
];

/** Whether the family is one whose models can be imported. */
export function isImportedFamily(family: string | null): family is ImportedFamily {
  return family !== null && Object.hasOwn(families, family);
}

/**
 * What a model's name says of SD 2's two kinds: those for 768 × 768 pixels predict the velocity. For other families
 * the noise.
 */
export function guessPrediction(family: ImportedFamily, name: string): Prediction {
  const isBase = /base|512|turbo/i.test(name);
  return family === 'sd2' && !isBase && /768|v2[-_.]?[01]|2[-_.][01]/i.test(name)
    ? 'v_prediction'
    : 'epsilon';
}

/** The parts of a model's pack that follow from its family, its name and what it predicts. */
export function modelFacts(
  family: ImportedFamily,
  name: string,
  prediction: Prediction,
): Pick<ModelPack, 'trainedSizes' | 'latent' | 'defaults'> {
  const facts = families[family];
  const is768 = family === 'sd2' && prediction === 'v_prediction';
  const trainedSizes = is768 ? ([[768, 768]] as const) : facts.trainedSizes;
  const [[width, height] = [512, 512]] = trainedSizes;
  const distilled = DISTILLED.find(([mark]) => mark.test(name))?.[1];
  return {
    trainedSizes,
    latent: {
      channels: 4,
      downscale: 8,
      sizeMultiple: 64,
      scalingFactor: facts.autoencoder.scaling_factor,
    },
    defaults: { width, height, ...(distilled ?? USUAL) },
  };
}

/** Configuration files of the family that a single file lacks, by path; those of its networks not among them. */
export function familyConfigs(family: ImportedFamily, prediction: Prediction): Record<string, ConfigFile> {
  const { scheduler, pipeline, padTokens } = families[family];
  const configs: Record<string, ConfigFile> = {
    'model_index.json': pipeline,
    'scheduler/scheduler_config.json': { ...NOISE_SCHEDULE, ...scheduler, prediction_type: prediction },
  };
  for (const [folder, padToken] of Object.entries(padTokens)) {
    configs[`${folder}/tokenizer_config.json`] = {
      tokenizer_class: 'CLIPTokenizer',
      model_max_length: 77,
      pad_token: padToken,
    };
  }
  return configs;
}

/** The tokenizer's files for a pack that brings none of its own. */
export function tokenizerFiles(): readonly PackFile[] {
  return TOKENIZER_FILES;
}
