import {
  createStore,
  del,
  delMany,
  get,
  getMany,
  keys,
  promisifyRequest,
  set,
  setMany,
  type UseStore,
} from 'idb-keyval';
import type { ModelId, PackFile } from '#protocol/model.ts';

/** What is stored of one file of a model. */
export interface StoredFile {
  sizeBytes: number;
  /** What it should be, or was found to be when it was sealed; null while unknown. */
  sha256: string | null;
  /** Sizes of the pieces in order; their sum is what has arrived. */
  pieceBytes: readonly number[];
  /** Set once the whole file has the right hash; until then it may only be resumed. */
  verifiedAt: number | null;
}

/** Whether what is stored is a part, or the whole, of the file that a pack names. */
export function isPartOf(stored: StoredFile, { sizeBytes, sha256 }: PackFile): boolean {
  return stored.sizeBytes === sizeBytes && (sha256 === null || stored.sha256 === sha256);
}

const fileKey = (model: ModelId, path: string) => `${model}/${path}`;
const pieceKey = (model: ModelId, path: string, index: number) => `${model}/${path}#${String(index)}`;

/**
 * Weights of models in IndexedDB, as Blobs in pieces: a file grows piece by piece while it arrives, and is
 * read back as one Blob that the browser streams from disk.
 */
export function openModelFiles(database = 'vitrine-models') {
  const store: UseStore = createStore(database, 'files');

  /** A file's pieces as one Blob; undefined where some are missing. */
  async function joined(model: ModelId, path: string, { pieceBytes }: StoredFile): Promise<Blob | undefined> {
    const found = await getMany<Blob | undefined>(
      pieceBytes.map((_, index) => pieceKey(model, path, index)),
      store,
    );
    const pieces = found.filter((piece) => piece !== undefined);
    return pieces.length === pieceBytes.length ? new Blob(pieces) : undefined;
  }

  return {
    /** Whether anything is stored. */
    hasAny: async (): Promise<boolean> =>
      (await store('readonly', (all) => promisifyRequest(all.count()))) > 0,

    /** What is stored of a file, complete or not. */
    stored: (model: ModelId, path: string): Promise<StoredFile | undefined> =>
      get(fileKey(model, path), store),

    /** Starts a file again, dropping what was there. */
    async begin(model: ModelId, file: PackFile): Promise<StoredFile> {
      await this.remove(model, file.path);
      const fresh: StoredFile = {
        sizeBytes: file.sizeBytes,
        sha256: file.sha256,
        pieceBytes: [],
        verifiedAt: null,
      };
      await set(fileKey(model, file.path), fresh, store);
      return fresh;
    },

    /** Adds the next piece; piece and record change in one transaction. */
    async append(model: ModelId, path: string, file: StoredFile, piece: Blob): Promise<StoredFile> {
      const grown: StoredFile = { ...file, pieceBytes: [...file.pieceBytes, piece.size] };
      await setMany(
        [
          [pieceKey(model, path, file.pieceBytes.length), piece],
          [fileKey(model, path), grown],
        ],
        store,
      );
      return grown;
    },

    /** Marks a file as whole and right; `sha256` is what was found. */
    async seal(model: ModelId, path: string, file: StoredFile, sha256 = file.sha256): Promise<void> {
      await set(fileKey(model, path), { ...file, sha256, verifiedAt: Date.now() }, store);
    },

    /** The bytes that have arrived so far, as one Blob; undefined where pieces are missing. */
    async received(model: ModelId, path: string): Promise<Blob | undefined> {
      const file = await get<StoredFile>(fileKey(model, path), store);
      return file && joined(model, path, file);
    },

    /** A verified file; undefined when it is absent, incomplete or unverified. */
    async open(model: ModelId, path: string): Promise<Blob | undefined> {
      const file = await get<StoredFile>(fileKey(model, path), store);
      return file?.verifiedAt == null ? undefined : joined(model, path, file);
    },

    async remove(model: ModelId, path: string): Promise<void> {
      const file = await get<StoredFile>(fileKey(model, path), store);
      if (!file) return;
      // The record goes first: a tab closed in between leaves orphans, never a file with holes.
      await del(fileKey(model, path), store);
      await delMany(
        file.pieceBytes.map((_, index) => pieceKey(model, path, index)),
        store,
      );
    },

    /** Removes every file of a model but those at these paths; orphaned pieces too. */
    async removeOthers(model: ModelId, kept: readonly string[]): Promise<void> {
      const all = await keys<string>(store);
      const isKept = (key: string) =>
        kept.some((path) => key === fileKey(model, path) || key.startsWith(`${fileKey(model, path)}#`));
      await delMany(
        all.filter((key) => key.startsWith(`${model}/`) && !isKept(key)),
        store,
      );
    },

    /** Removes every file of a model, orphaned pieces included. */
    async removeModel(model: ModelId): Promise<void> {
      await this.removeOthers(model, []);
    },
  };
}

export type ModelFiles = ReturnType<typeof openModelFiles>;
