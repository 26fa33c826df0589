import type { ModelId, ModelPack, ModelState } from './model.ts';

/** What the host may ask of the library worker: it knows the packs, and fetches, verifies and stores them. */
export interface LibraryWorker {
  /** Every known pack and where it stands. */
  list(): Promise<{ pack: ModelPack; state: ModelState }[]>;
  /**
   * Brings a pack here, going on where an earlier try stopped. Resolves when every file is stored and has
   * its SHA-256.
   * @throws AppError `model_not_found`, `download_failed` (what arrived is kept), `integrity_failed` (names
   *   the file, which is dropped), `storage_full`, `cancelled`
   */
  install(id: ModelId, onState: (state: ModelState) => void): Promise<void>;
  /** Stops a running install. */
  cancel(id: ModelId): void;
  remove(id: ModelId): Promise<void>;
}
