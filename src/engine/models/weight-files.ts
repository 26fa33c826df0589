import type { ConfigJson } from '#engine/architectures/config.ts';
import { openCheckpoint, type Component } from '#weights/checkpoint.ts';
import { inferConfig } from '#weights/infer-config.ts';
import { joinTensors } from '#weights/join-tensors.ts';
import { dequantiseTensors } from '#weights/quantise.ts';
import { HeldFile } from './held-file.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import { AppError } from '#protocol/error.ts';
import { families } from '#protocol/families.ts';
import type { AnyPack, ModelFamily } from '#protocol/model.ts';
import type { PackFiles } from './pack-files.ts';

/** Weights of a pack's networks, understood and not yet read. */
export interface WeightFiles {
  networks: ReadonlyMap<Component, NetworkWeights>;
  /** By the names that the weights' locations call them: their paths in the pack. */
  files: ReadonlyMap<string, HeldFile>;
  /** Does something that reads most of the tensors, or whole files: small ones are in memory meanwhile. */
  readingAll<T>(work: () => Promise<T>): Promise<T>;
}

/** One network: its weights under the names of diffusers, and what they are for. */
export interface NetworkWeights {
  source: TensorSource;
  config: ConfigJson;
}

/** Folders of a pack that has one for each network. */
const FOLDERS = ['unet', 'vae', 'text_encoder', 'text_encoder_2'] as const;

/** A checkpoint in one file. */
const CHECKPOINT = 'checkpoint.safetensors';

const isWeights = ({ path }: { path: string }) => path.endsWith('.safetensors');

/**
 * Opens the `.safetensors` files of a pack by their headers: a whole checkpoint, a folder for each network (in one or
 * several files), or the one file of an add-on.
 *
 * @param family of the model they are for; null for add-ons of no family
 * @throws AppError `model_not_found` for a missing file, `integrity_failed` for a damaged one, `unsupported_feature` for
 *   networks of no known kind
 */
export async function openWeightFiles(
  pack: AnyPack,
  files: PackFiles,
  family: ModelFamily | null,
): Promise<WeightFiles> {
  const opened = new Map<string, HeldFile>();
  const open = async (path: string) => {
    const file = new HeldFile(await files.read(path));
    opened.set(path, file);
    return openSafetensors(file, path);
  };
  const networks = new Map<Component, NetworkWeights>();
  const add = async (component: Component, source: TensorSource, configPath: string) => {
    const config = (await files.findJson(configPath)) ?? configOf(component, source, pack, family);
    networks.set(component, { source, config });
  };

  const atTop = files.list('').filter(isWeights);
  const single = atTop.find(({ path }) => path === CHECKPOINT) ?? atTop[0];
  if (single) {
    for (const [component, source] of openCheckpoint(await open(single.path)).components) {
      await add(component, source, pack.kind === 'model' ? `${component}/config.json` : 'config.json');
    }
  } else {
    for (const folder of FOLDERS) {
      const shards: TensorSource[] = [];
      for (const { path } of files.list(folder).filter(isWeights)) shards.push(await open(path));
      if (shards.length === 0) continue;
      const [source] = openCheckpoint(joinTensors(shards)).components.values();
      if (!source) {
        throw new AppError(
          'integrity_failed',
          `The files in ${folder} of ${pack.title} contain no network that is supported here.`,
        );
      }
      await add(folder, source, `${folder}/config.json`);
    }
  }
  return {
    networks,
    files: opened,
    async readingAll(work) {
      for (const file of opened.values()) file.hold();
      try {
        return await work();
      } finally {
        for (const file of opened.values()) file.letGo();
      }
    },
  };
}

/** A network's configuration as far as its tensors, its name and the family determine it. */
function configOf(
  component: Component,
  source: TensorSource,
  { id }: AnyPack,
  family: ModelFamily | null,
): ConfigJson {
  const config = inferConfig(component, dequantiseTensors(source));
  if (component === 'vae' && family !== null && families[family].upcastsVae)
    return { ...config, force_upcast: true };
  // Only the name distinguishes these; lllyasviel/ControlNet-v1-1, control_v11e_sd15_shuffle.yaml.
  if (component === 'controlnet' && /shuffle/i.test(id)) return { ...config, global_pool_conditions: true };
  return config;
}
