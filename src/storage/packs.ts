import { createStore, del, get, set, values } from 'idb-keyval';
import type { WeightStorage } from '#protocol/import.ts';
import type { AnyPack, ModelId, PackFile } from '#protocol/model.ts';

/** A pack that was imported, and what resuming the import needs. */
export interface ImportedPack {
  /** The finished pack; hashes are added as files arrive. */
  pack: AnyPack;
  storage: WeightStorage;
  from: 'disk' | 'url';
  /** Source files of quantised ones that are not made yet; they are deleted once those exist. */
  sources: readonly PackFile[];
  /** Equal for the same files, so that a file dropped again is not confused with another of the same name. */
  fingerprint: string;
  importedAt: number;
}

/** Imported packs by id. */
export function openImportedPacks(database = 'vitrine-packs') {
  const store = createStore(database, 'packs');
  return {
    get: (id: ModelId): Promise<ImportedPack | undefined> => get(id, store),
    put: (imported: ImportedPack): Promise<void> => set(imported.pack.id, imported, store),
    remove: (id: ModelId): Promise<void> => del(id, store),
    /** All of them, oldest first. */
    async all(): Promise<ImportedPack[]> {
      const imported = await values<ImportedPack>(store);
      return imported.sort((a, b) => a.importedAt - b.importedAt);
    },
  };
}

export type ImportedPacks = ReturnType<typeof openImportedPacks>;
