import type { Runtime } from '#engine/runtime/runtime.ts';
import { sumBytes, type ModelPack } from '#protocol/model.ts';
import type { AddOns } from './add-ons.ts';
import { openModel, type LoadedModel, type Model, type ModelChanges } from './model.ts';
import type { ReadFile } from './pack-files.ts';

/** Models whose files have so many bytes together stay on the device together; others take turns. */
const KEPT_BYTES = 2e9;

/** Models on a runtime, as many of them on the device as fit. */
export interface Models {
  /**
   * Opens these, in their order; nothing of them is on the device yet. Others that were open are released.
   * @throws AppError see {@link openModel}
   */
  open(packs: readonly ModelPack[]): Promise<Model[]>;
  /** Puts one of the open ones on the device, which the others leave where not all fit. See {@link Model.load} */
  load(model: Model, changes: ModelChanges, addOns: AddOns): Promise<LoadedModel>;
  release(): Promise<void>;
}

/** @param filesOf where the files of a pack are read from */
export function createModels(runtime: Runtime, filesOf: (pack: ModelPack) => ReadFile): Models {
  /** By all that a pack says: one imported again may have other configurations around the same files. */
  let open = new Map<string, Promise<Model>>();

  async function release(others: Iterable<Promise<Model>>, kept?: Model): Promise<void> {
    for (const opening of others) {
      // A model that failed to open holds nothing.
      const model = await opening.catch(() => kept);
      if (model !== kept) await model?.release();
    }
  }

  return {
    async open(packs) {
      const before = open;
      const now = new Map<string, Promise<Model>>();
      open = now;
      const opening = packs.map((pack) => {
        const key = JSON.stringify(pack);
        const model = now.get(key) ?? before.get(key) ?? openModel(pack, runtime, filesOf(pack));
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
      const all = await Promise.all(open.values());
      const bytes = all.reduce((sum, { pack }) => sum + sumBytes(pack.files), 0);
      if (bytes > KEPT_BYTES) await release(open.values(), model);
      return model.load(changes, addOns);
    },
    async release() {
      const before = open;
      open = new Map();
      await release(before.values());
    },
  };
}
