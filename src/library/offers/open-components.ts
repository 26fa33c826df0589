import { openCheckpoint, type Component } from '#weights/checkpoint.ts';
import { joinTensors } from '#weights/join-tensors.ts';
import { openSafetensors, type ByteSource } from '#weights/safetensors-source.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import { AppError } from '#protocol/error.ts';
import type { Components } from './finding.ts';

/** The folders of a diffusers pipeline that hold networks this engine runs. */
const FOLDERS = ['unet', 'vae', 'text_encoder', 'text_encoder_2'] as const satisfies readonly Component[];

/**
 * The networks in the safetensors files of a pack: a checkpoint or a single network at the top, or in the folders of
 * diffusers, where one may be in several files.
 * @throws AppError `integrity_failed` for damaged files or a folder with another network in it
 */
export async function openComponents(
  files: readonly { path: string; file: ByteSource }[],
): Promise<Components> {
  const components = new Map<Component, TensorSource>();
  for (const { path, file } of files) {
    if (path.includes('/')) continue;
    for (const [component, network] of openCheckpoint(await openSafetensors(file, path)).components)
      components.set(component, network);
  }
  for (const folder of FOLDERS) {
    const shards: TensorSource[] = [];
    for (const { path, file } of files) {
      if (path.startsWith(`${folder}/`)) shards.push(await openSafetensors(file, path));
    }
    if (shards.length === 0) continue;
    const [network] = openCheckpoint(joinTensors(shards)).components.values();
    if (!network) {
      throw new AppError('integrity_failed', `The folder ${folder} does not contain the expected network.`, {
        detail: { file: folder },
      });
    }
    components.set(folder, network);
  }
  return components;
}
