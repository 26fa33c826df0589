import { AppError, toAppError } from '#protocol/error.ts';
import type { LibraryWorker } from '#protocol/library-worker.ts';
import type { ModelId, ModelPack, ModelState } from '#protocol/model.ts';
import type { ModelFiles, StoredFile } from '#storage/model-files.ts';
import { downloadFile } from './download.ts';

/** At most this often is progress told. */
const PROGRESS_EVERY_MS = 100;

function totalBytes(pack: ModelPack): number {
  return pack.files.reduce((sum, file) => sum + file.sizeBytes, 0);
}

interface Install {
  abort: AbortController;
  /** Resolves when nothing of it is written any more. */
  ended: Promise<unknown>;
}

/** Installs and removes `packs`; `base` is what relative pack URLs are resolved against. */
export function createLibrary(packs: readonly ModelPack[], files: ModelFiles, base: string): LibraryWorker {
  const running = new Map<ModelId, Install>();

  /** What is stored of each file, where it is a piece of the file that the pack names. */
  async function storedFiles(pack: ModelPack): Promise<(StoredFile | undefined)[]> {
    return Promise.all(
      pack.files.map(async ({ path, sha256 }) => {
        const stored = await files.stored(pack.id, path);
        return stored?.sha256 === sha256 ? stored : undefined;
      }),
    );
  }

  function receivedBytes(stored: readonly (StoredFile | undefined)[]): number {
    return stored.flatMap((file) => file?.pieceBytes ?? []).reduce((sum, bytes) => sum + bytes, 0);
  }

  async function state(pack: ModelPack): Promise<ModelState> {
    const stored = await storedFiles(pack);
    const sealed = stored.map((file) => file?.verifiedAt ?? null);
    if (sealed.every((at) => at !== null)) return { stage: 'installed', installedAt: Math.max(...sealed) };
    const received = receivedBytes(stored);
    if (received === 0) return { stage: 'absent' };
    return {
      stage: 'failed',
      message: 'The download is not complete.',
      receivedBytes: received,
      totalBytes: totalBytes(pack),
    };
  }

  function find(id: ModelId): ModelPack {
    const pack = packs.find((candidate) => candidate.id === id);
    if (!pack)
      throw new AppError('model_not_found', `There is no model called “${id}”.`, { detail: { model: id } });
    return pack;
  }

  async function install(
    pack: ModelPack,
    signal: AbortSignal,
    onState: (state: ModelState) => void,
  ): Promise<void> {
    const total = totalBytes(pack);
    const started = performance.now();
    let done = 0;
    /** Bytes of the current file; null until it is known what an earlier try left of it. */
    let current: number | null = null;
    let fetched = 0;
    let toldAt = 0;
    const tell = (force: boolean) => {
      const now = performance.now();
      if (!force && now - toldAt < PROGRESS_EVERY_MS) return;
      toldAt = now;
      const seconds = (now - started) / 1000;
      onState({
        stage: 'downloading',
        receivedBytes: done + (current ?? 0),
        totalBytes: total,
        bytesPerSecond: seconds > 0.5 ? fetched / seconds : null,
      });
    };
    try {
      for (const file of pack.files) {
        await downloadFile({
          files,
          model: pack.id,
          file,
          url: new URL(file.path, new URL(pack.url, base)).href,
          signal,
          onProgress(received) {
            fetched += Math.max(0, received - (current ?? received));
            current = received;
            tell(false);
          },
          onVerify: () => onState({ stage: 'verifying', file: file.path }),
        });
        done += file.sizeBytes;
        current = null;
        tell(true);
      }
      onState({ stage: 'installed', installedAt: Date.now() });
    } catch (thrown) {
      const error = toAppError(thrown);
      const received = receivedBytes(await storedFiles(pack));
      onState({ stage: 'failed', message: error.message, receivedBytes: received, totalBytes: total });
      throw error;
    }
  }

  return {
    list: () => Promise.all(packs.map(async (pack) => ({ pack, state: await state(pack) }))),
    async install(id, onState) {
      const pack = find(id);
      if (running.has(id)) throw new AppError('invalid_request', `${pack.title} is being installed already.`);
      const abort = new AbortController();
      const installing = install(pack, abort.signal, onState).finally(() => running.delete(id));
      running.set(id, { abort, ended: installing.catch(() => undefined) });
      await installing;
    },
    cancel: (id) => running.get(id)?.abort.abort(),
    async remove(id) {
      const pack = find(id);
      const install = running.get(id);
      install?.abort.abort();
      // What it still writes would outlive the rest.
      await install?.ended;
      await files.removeModel(pack.id);
    },
  };
}
