import { readFileSync } from 'node:fs';
import type { AddOnPack, ConfigFile, ModelPack } from '#protocol/model.ts';
import { clipConfig, tinyClip } from './tiny-clip.ts';
import { addOnPack, fileOf, modelPack, type FilledPack } from './tiny-packs.ts';

const TEXT = { width: 32, layers: 2 };

const fixture = (path: string) => readFileSync(new URL(`../fixtures/models/${path}`, import.meta.url));
const weightsOf = (name: string) => new Blob([fixture(`${name}/diffusion_pytorch_model.safetensors`)]);
const configOf = (name: string) => JSON.parse(fixture(`${name}/config.json`).toString()) as ConfigFile;

/** The reference's tiny UNet and VAE as a model that generates 64×64. */
export async function tinyModel(): Promise<FilledPack<ModelPack>> {
  return modelPack(
    {
      'unet/model.safetensors': weightsOf('unet-sd1'),
      'vae/model.safetensors': weightsOf('autoencoder-kl'),
      'text_encoder/model.safetensors': await fileOf(tinyClip(TEXT)),
    },
    {
      configs: {
        'unet/config.json': configOf('unet-sd1'),
        'vae/config.json': configOf('autoencoder-kl'),
        'text_encoder/config.json': clipConfig(TEXT),
      },
    },
  );
}

/** The reference's tiny ControlNet, which goes with it, some of its configuration changed. */
export async function tinyControlNet(id = 'edges', changes: ConfigFile = {}): Promise<FilledPack<AddOnPack>> {
  const { pack, files } = await addOnPack('controlnet', id, weightsOf('controlnet'), { family: 'sd1' });
  const config = new Blob([JSON.stringify({ ...configOf('controlnet'), ...changes })]);
  return {
    pack: { ...pack, files: [...pack.files, { path: 'config.json', sizeBytes: config.size, sha256: null }] },
    files: { ...files, 'config.json': config },
  };
}
