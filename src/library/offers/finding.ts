import type { Component } from '#weights/checkpoint.ts';
import { chooseStorage, quantiseTensors } from '#weights/quantise.ts';
import { foldsWeights } from '#weights/folding.ts';
import { writeSafetensors } from '#weights/safetensors-source.ts';
import { byteLength, elementCount, type TensorSource } from '#weights/tensor-source.ts';
import { isFloat } from '#weights/casts.ts';
import type { SourceFile } from '#library/sources/source-file.ts';
import type { BackendInfo } from '#protocol/engine-host.ts';
import type { ImportChoice, ImportOffer, StorageOption, WeightStorage } from '#protocol/import.ts';
import { sumBytes, type AnyPack, type PackFile } from '#protocol/model.ts';

/** Networks of files, under their diffusers names. */
export type Components = ReadonlyMap<Component, TensorSource>;

/** A pack without what the library adds: its name and whom it is from. */
export type PackDraft = AnyPack extends infer P
  ? P extends AnyPack
    ? Omit<P, 'id' | 'title' | 'licence' | 'credits' | 'url'>
    : never
  : never;

/** What was found, before it has a name here. */
export interface Finding {
  offer: Omit<ImportOffer, 'id' | 'title' | 'licence' | 'files'>;
  /** As the file states it. */
  licence: ImportOffer['licence'] | null;
  /** What would be brought here, in the places of the pack. */
  files: readonly { path: string; file: SourceFile }[];
  /** The pack that a choice makes; called only where there is no problem. */
  draft: (choice: ImportChoice) => Promise<PackDraft>;
}

/** Three feature maps of a VAE decoder's widest full-size layer at 512 × 512 in float32; larger images are tiled. */
export const ACTIVATION_BYTES = 3 * 256 * 512 * 512 * 4;

/** A quantised file has to be this much smaller to be worth the loss. */
const WORTHWHILE = 0.95;

/** A file as its pack has it: with its address, so that it can be fetched from there. */
export function toPackFile({ path, file }: Finding['files'][number]): PackFile {
  return {
    path,
    sizeBytes: file.size,
    sha256: file.sha256,
    ...(file.url !== null && { url: file.url }),
  };
}

/** Something that cannot be imported, and why. */
export function refusedFinding(
  problem: string,
  known: Partial<Finding['offer']> = {},
  files: Finding['files'] = [],
): Finding {
  return {
    offer: {
      kind: 'unknown',
      family: null,
      format: 'unknown',
      summary: 'A file that cannot be used here',
      type: null,
      parameters: null,
      prediction: null,
      warnings: [],
      ...known,
      options: [],
      problem,
    },
    licence: null,
    files,
    draft: () => Promise.reject(new Error(problem)),
  };
}

/** The networks in a storage format. */
export function storedComponents(components: Components, storage: WeightStorage): Components {
  if (storage === 'exact') return components;
  const bits = storage === 'int8' ? 8 : 4;
  return new Map(
    [...components].map(([component, network]) => [
      component,
      quantiseTensors(network, chooseStorage(component, bits)),
    ]),
  );
}

/** The path of a network quantised here in its pack; a single network is at the top. */
function quantisedPath(component: Component): string {
  const isAlone = component === 'controlnet' || component === 'image_encoder';
  return isAlone ? 'model.safetensors' : `${component}/model.safetensors`;
}

/** The files that quantising makes of the networks; their sizes are exact. */
export async function quantisedFiles(components: Components, storage: WeightStorage): Promise<PackFile[]> {
  const files: PackFile[] = [];
  for (const [component, network] of storedComponents(components, storage)) {
    // The header is the first part; making it reads no tensor.
    const header = await writeSafetensors(network).next();
    let sizeBytes = header.value?.length ?? 0;
    for (const name of network.names()) {
      const info = network.info(name);
      if (info) sizeBytes += byteLength(info);
    }
    files.push({ path: quantisedPath(component), sizeBytes, sha256: null });
  }
  return files;
}

/** Memory of one network's weights. Where the device does not compute in float16, float32 files stay what they are. */
function weightMemory(network: TensorSource, hasFloat16: boolean): number {
  let bytes = 0;
  let floats = 0;
  for (const name of network.names()) {
    const info = network.info(name);
    if (!info) continue;
    if (!isFloat(info.type)) {
      bytes += byteLength(info);
      continue;
    }
    const count = elementCount(info.shape);
    const isWide = !hasFloat16 && (info.type === 'float32' || info.type === 'float64');
    bytes += count * (isWide ? 4 : 2);
    if (!isWide) floats += count;
  }
  return hasFloat16 || !foldsWeights(bytes) ? bytes : bytes + 2 * floats;
}

/**
 * Memory a model's networks take while it runs, about: quantised weights as stored, others 2 bytes a number, or 4
 * where the device does not compute in float16 and the file has float32 or the network is small enough to be widened; and
 * the activations of the largest layer.
 */
export function estimateMemory(
  components: Components,
  storage: WeightStorage,
  device: BackendInfo | null,
): number {
  const hasFloat16 = device?.provider === 'webgpu' && device.float16;
  let bytes = ACTIVATION_BYTES;
  for (const network of storedComponents(components, storage).values())
    bytes += weightMemory(network, hasFloat16);
  return bytes;
}

/**
 * What each way of keeping safetensors costs.
 * @param exactBytes of the unchanged files
 * @param otherBytes of files that come along in any case
 */
export async function storageOptions(
  components: Components,
  exactBytes: number,
  otherBytes: number,
  device: BackendInfo | null,
): Promise<StorageOption[]> {
  const options: StorageOption[] = [
    {
      storage: 'exact',
      sizeBytes: exactBytes + otherBytes,
      memoryBytes: estimateMemory(components, 'exact', device),
    },
  ];
  for (const storage of ['int8', 'int4'] as const) {
    const files = await quantisedFiles(components, storage);
    const sizeBytes = sumBytes(files);
    if (sizeBytes > exactBytes * WORTHWHILE) continue;
    options.push({
      storage,
      sizeBytes: sizeBytes + otherBytes,
      memoryBytes: estimateMemory(components, storage, device),
    });
  }
  return options;
}

/** `2.6 billion`, `860 million`. */
export function countInWords(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(1)} billion`;
  if (count >= 1e6) return `${Math.round(count / 1e6)} million`;
  return count >= 1e3 ? `${Math.round(count / 1e3)} thousand` : String(count);
}
