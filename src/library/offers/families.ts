import type { Component } from '#weights/checkpoint.ts';
import { families } from '#protocol/families.ts';
import { fewStepsOf } from '#protocol/few-steps.ts';
import type { ConfigFile, ModelFamily, ModelPack, PackFile } from '#protocol/model.ts';

/** Families whose models can be imported. */
export type ImportedFamily = Exclude<ModelFamily, 'emoji-mini'>;

export type Prediction = 'epsilon' | 'v_prediction';

/** What imported models need besides what all know of their family (protocol/families.ts). */
interface ImportFacts {
  components: readonly Component[];
  /** Values of the family's `scheduler_config.json` on the Hub, besides the noise schedule all share. */
  scheduler: ConfigFile;
  pipeline: ConfigFile;
}

const PNDM = { _class_name: 'PNDMScheduler', skip_prk_steps: true, set_alpha_to_one: false } as const;

const SINGLE_ENCODER: ImportFacts = {
  components: ['unet', 'vae', 'text_encoder'],
  scheduler: PNDM,
  pipeline: { _class_name: 'StableDiffusionPipeline' },
};

const imports: Readonly<Record<ImportedFamily, ImportFacts>> = {
  sd1: SINGLE_ENCODER,
  sd2: SINGLE_ENCODER,
  sdxl: {
    components: ['unet', 'vae', 'text_encoder', 'text_encoder_2'],
    scheduler: { _class_name: 'EulerDiscreteScheduler', timestep_spacing: 'leading' },
    pipeline: { _class_name: 'StableDiffusionXLPipeline', force_zeros_for_empty_prompt: true },
  },
  'sdxl-refiner': {
    components: ['unet', 'vae', 'text_encoder_2'],
    scheduler: { _class_name: 'EulerDiscreteScheduler', timestep_spacing: 'leading' },
    pipeline: { _class_name: 'StableDiffusionXLImg2ImgPipeline', force_zeros_for_empty_prompt: false },
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

const USUAL = { steps: 25, guidanceScale: 7, sampler: 'dpmpp_2m', schedule: 'karras' } as const;

/** CLIP's tokenizer, which every family uses, as stored beside the app; its vocabulary is derived from it. */
const TOKENIZER_FILES: readonly PackFile[] = [
  {
    path: 'tokenizer/merges.txt',
    sizeBytes: 524_619,
    sha256: '9fd691f7c8039210e0fced15865466c65820d09b63988b0174bfe25de299051a',
    url: 'models/emoji-mini/tokenizer/merges.txt',
  },
];

/** Whether the family is one whose models can be imported. */
export function isImportedFamily(family: string | null): family is ImportedFamily {
  return family !== null && Object.hasOwn(imports, family);
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
): Pick<ModelPack, 'sizing' | 'trainedSizes' | 'latent' | 'defaults'> {
  const { sizing, latent, trainedSizes: ofFamily } = families[family];
  const is768 = family === 'sd2' && prediction === 'v_prediction';
  const trainedSizes = is768 ? ([[768, 768]] as const) : ofFamily;
  const [[width, height] = [512, 512]] = trainedSizes;
  return {
    sizing,
    trainedSizes,
    latent,
    defaults: { width, height, ...(fewStepsOf(name)?.values ?? USUAL) },
  };
}

/** Networks a model of the family is made of. */
export function componentsOf(family: ImportedFamily): readonly Component[] {
  return imports[family].components;
}

/** The keys of the VAE's configuration that no tensor shows. */
export function autoencoderConfig(family: ImportedFamily): ConfigFile {
  const { latent, upcastsVae } = families[family];
  return { scaling_factor: latent.scalingFactor, ...(upcastsVae && { force_upcast: true }) };
}

/** Configuration files of the family that a single file lacks, by path; those of its networks not among them. */
export function familyConfigs(family: ImportedFamily, prediction: Prediction): Record<string, ConfigFile> {
  const { scheduler, pipeline } = imports[family];
  return {
    'model_index.json': pipeline,
    'scheduler/scheduler_config.json': { ...NOISE_SCHEDULE, ...scheduler, prediction_type: prediction },
  };
}

/** The tokenizer's files for a pack that brings none of its own. */
export function tokenizerFiles(): readonly PackFile[] {
  return TOKENIZER_FILES;
}
