import type { BackendInfo } from './engine-host.ts';
import type { CatalogueEntry, ImportChoice, ImportOffer, ImportSource } from './import.ts';
import type { AnyPack, ModelId, ModelState } from './model.ts';

/** Called with every change of a pack; `pack` is how it is now, for an import completes it. */
export type OnPackState = (pack: AnyPack, state: ModelState) => void;

/** What the host may ask of the library worker: it knows the packs, and fetches, verifies and stores them. */
export interface LibraryWorker {
  /** Every known pack and where it stands; the built-in model is the first. */
  list(): Promise<{ pack: AnyPack; state: ModelState }[]>;
  /**
   * Brings a pack here, going on where an earlier try stopped. Resolves when every file is stored and has
   * its SHA-256.
   * @throws AppError `model_not_found`, `download_failed` (what arrived is kept; also where the file came from the
   *   disk and must be dropped again), `integrity_failed` (names the file, which is dropped), `storage_full`, `cancelled`
   */
  install(id: ModelId, onState: OnPackState): Promise<void>;
  /** Stops a running install. */
  cancel(id: ModelId): void;
  remove(id: ModelId): Promise<void>;

  /**
   * Recognises what something is from headers and listings; nothing is stored.
   * @param device what it would run on, where that is known
   * @throws AppError `invalid_request`, `download_failed`, `integrity_failed`
   */
  inspect(source: ImportSource, device: BackendInfo | null): Promise<ImportOffer>;
  /**
   * Brings it here under the name of its offer. The pack is stored before its first byte, so that it can go on after a
   * reload: from a URL by `install`, from the disk by importing the same files again.
   * @throws AppError as {@link install}, and `unsupported_feature` with the offer's problem
   */
  importPack(
    source: ImportSource,
    choice: ImportChoice,
    device: BackendInfo | null,
    onState: OnPackState,
  ): Promise<ModelId>;

  catalogue(): CatalogueEntry[] | Promise<CatalogueEntry[]>;
}
