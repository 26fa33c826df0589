import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { ConfigJson } from '#engine/architectures/config.ts';
import { openModel, type Model } from '#engine/models/model.ts';
import type { ReadFile } from '#engine/models/pack-files.ts';
import type { Runtime } from '#engine/runtime/runtime.ts';
import type { ModelFamily, ModelPack } from '#protocol/model.ts';
import { tokenizerFolder } from '../parity/tokens.ts';
import { readFrom } from './node-engine.ts';

/** SD 1.5's `scheduler_config.json` for DDIM, which the reference pipelines made their schedulers from. */
const SCHEDULER_CONFIG = {
  _class_name: 'DDIMScheduler',
  num_train_timesteps: 1000,
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  clip_sample: false,
  set_alpha_to_one: false,
  steps_offset: 1,
};

/** The networks' folders in a pipeline, and their names among the reference's models. */
const NETWORKS = { unet: 'unet-sd1', vae: 'autoencoder-kl', text_encoder: 'clip-text' } as const;

/** Those of SDXL's refiner. */
const REFINER = {
  unet: 'unet-sdxl',
  vae: 'autoencoder-kl',
  text_encoder_2: 'clip-text-projection',
} as const;

/** Whether a folder of references has the networks of a pipeline. */
export function hasTinyPipeline(dir: string): boolean {
  return Object.values(NETWORKS).every((name) => existsSync(join(dir, 'models', name)));
}

/**
 * The tiny networks of a folder of references, loaded as an imported model is: one pack in the diffusers layout.
 *
 * @param id of the pack
 * @param isRefiner whether it is SDXL's refiner, which has the second text encoder only
 * @param unet the folder of another UNet than usual
 * @param foldedBytes as {@link openModel} takes it
 */
export function openTinyPipeline(
  runtime: Runtime,
  dir: string,
  {
    id = 'parity',
    isRefiner = false,
    unet,
    foldedBytes,
  }: { id?: string; isRefiner?: boolean; unet?: string; foldedBytes?: number } = {},
): Promise<Model> {
  const folders = new Map([['tokenizer', tokenizerFolder(dir)]]);
  for (const [folder, name] of Object.entries({
    ...(isRefiner ? REFINER : NETWORKS),
    ...(unet !== undefined && { unet }),
  })) {
    folders.set(folder, join(dir, 'models', name));
  }
  const readFile: ReadFile = (path) => {
    const [name = '', file = ''] = path.split('/');
    const folder = folders.get(name);
    return folder === undefined ? Promise.resolve(undefined) : readFrom(folder)(file);
  };
  return openModel(describePack(folders, id, isRefiner ? 'sdxl-refiner' : 'sd1'), runtime, readFile, {
    foldedBytes,
  });
}

function describePack(folders: ReadonlyMap<string, string>, id: string, family: ModelFamily): ModelPack {
  const configOf = (name: 'unet' | 'vae') =>
    JSON.parse(readFileSync(join(folders.get(name) ?? '', 'config.json'), 'utf8')) as ConfigJson;
  const halvings = (config: ConfigJson) => (config['block_out_channels'] as number[]).length - 1;
  const vae = configOf('vae');
  const downscale = 2 ** halvings(vae);
  return {
    id,
    title: 'Tiny networks of a reference',
    description: '',
    kind: 'model',
    family,
    weights: 'safetensors',
    url: null,
    files: [...folders].flatMap(([folder, path]) =>
      readdirSync(path)
        .filter((file) => file !== 'io.safetensors')
        .map((file) => ({
          path: `${folder}/${file}`,
          sizeBytes: statSync(join(path, file)).size,
          sha256: null,
        })),
    ),
    configs: {
      'scheduler/scheduler_config.json': SCHEDULER_CONFIG,
      // The references' pipelines have one tokenizer for both text encoders.
      'tokenizer_2/tokenizer_config.json': { pad_token: '<|endoftext|>' },
    },
    licence: { name: '' },
    credits: '',
    sizing: 'exact',
    trainedSizes: [[vae['sample_size'] as number, vae['sample_size'] as number]],
    latent: {
      channels: Number(vae['latent_channels']),
      downscale,
      sizeMultiple: downscale * 2 ** halvings(configOf('unet')),
      scalingFactor: Number(vae['scaling_factor']),
    },
    defaults: {
      width: 64,
      height: 64,
      steps: 20,
      guidanceScale: 7.5,
      sampler: 'ddim',
      schedule: 'automatic',
    },
  };
}
