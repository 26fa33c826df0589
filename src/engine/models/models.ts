import type { Runtime } from '#engine/runtime/runtime.ts';
import { sumBytes, type ModelPack } from '#protocol/model.ts';
import type { EncodedChunks } from '#storage/encoded-chunks.ts';
import type { AddOns } from './add-ons.ts';
import { openModel, type LoadedModel, type Model, type ModelChanges } from './model.ts';
import type { ReadFile } from './pack-files.ts';
import { KEPT_BYTES } from './session-cache.ts';

/** Models on a runtime, as many of them on the device as fit. */
export interface Models {
  /**
   * Opens these, in their order; nothing of them is on the device yet. Others that were open are released.
   * @throws AppError see {@link openModel}
   */
  open(packs: readonly ModelPack[]): Promise<Model[]>;
  /** Puts one of the open ones on the device, which the others leave where not all fit. See {@link Model.load} */
  load(model: Model, changes: ModelChanges, addOns: AddOns): Promise<LoadedModel>;
  /** Whether it is on the device: it may have been taken from there since it was loaded. */
  isOnDevice(model: Model): boolean;
  /** Of the files of those that are open. */
  bytes(): Promise<number>;
  /** Takes them from the device; they stay open. */
  leaveDevice(): Promise<void>;
  release(): Promise<void>;
}

/**
 * @param filesOf where the files of a pack are read from
 * @param encodedChunks where encoded texts are kept
 */
export function createModels(
  runtime: Runtime,
  filesOf: (pack: ModelPack) => ReadFile,
  encodedChunks?: EncodedChunks,
): Models {
  /** By all that a pack says: one imported again may have other configurations around the same files. */
  let open = new Map<string, Promise<Model>>();
  const onDevice = new Set<Model>();

  async function release(others: Iterable<Promise<Model>>, kept?: Model): Promise<void> {
    for (const opening of others) {
      // A model that failed to open holds nothing.
      const model = await opening.catch(() => kept);
      if (!model || model === kept) continue;
      onDevice.delete(model);
      await model.release();
    }
  }

  async function openBytes(): Promise<number> {
    const all = await Promise.all(open.values());
    return all.reduce((sum, { pack }) => sum + sumBytes(pack.files), 0);
  }

  return {
    async open(packs) {
      const before = open;
      const now = new Map<string, Promise<Model>>();
      open = now;
      const opening = packs.map((pack) => {
        const key = JSON.stringify(pack);
        const model =
          now.get(key) ?? before.get(key) ?? openModel(pack, runtime, filesOf(pack), { encodedChunks });
        now.set(key, model);
        return model;
      });
      try {
        await release([...before].flatMap(([key, model]) => (now.has(key) ? [] : model)));
        return await Promise.all(opening);
      } catch (thrown) {
        // The next attempt reads the files again.
        if (open === now) open = new Map();
        await release(now.values());
        throw thrown;
      }
    },
    async load(model, changes, addOns) {
      if ((await openBytes()) > KEPT_BYTES) await release(open.values(), model);
      onDevice.add(model);
      return model.load(changes, addOns);
    },
    isOnDevice: (model) => onDevice.has(model),
    bytes: openBytes,
    leaveDevice: () => release(open.values()),
    async release() {
      const before = open;
      open = new Map();
      await release(before.values());
    },
  };
}
