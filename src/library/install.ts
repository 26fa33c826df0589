import { AppError, toAppError } from '#protocol/error.ts';
import type { LibraryWorker } from '#protocol/library-worker.ts';
import type { ModelId, ModelPack, ModelState } from '#protocol/model.ts';
import type { ModelFiles } from '#storage/model-files.ts';
import { downloadFile } from './download.ts';

/** At most this often is progress told. */
const PROGRESS_EVERY_MS = 100;

function totalBytes(pack: ModelPack): number {
  return pack.files.reduce((sum, file) => sum + file.sizeBytes, 0);
}

/** Installs and removes `packs`; `base` is what relative pack URLs are resolved against. */
export function createLibrary(packs: readonly ModelPack[], files: ModelFiles, base: string): LibraryWorker {
  const running = new Map<string, AbortController>();

  async function state(pack: ModelPack): Promise<ModelState> {
    const stored = await Promise.all(pack.files.map((file) => files.stored(pack.id, file.path)));
    const sealed = stored.map((file) => file?.verifiedAt ?? null);
    if (sealed.every((at) => at !== null)) return { stage: 'installed', installedAt: Math.max(...sealed) };
    const receivedBytes = stored
      .flatMap((file) => file?.pieceBytes ?? [])
      .reduce((sum, bytes) => sum + bytes, 0);
    if (receivedBytes === 0) return { stage: 'absent' };
    return {
      stage: 'failed',
      message: 'The download is not complete.',
      receivedBytes,
      totalBytes: totalBytes(pack),
    };
  }

  function find(id: ModelId): ModelPack {
    const pack = packs.find((candidate) => candidate.id === id);
    if (!pack)
      throw new AppError('model_not_found', `There is no model called “${id}”.`, { detail: { model: id } });
    return pack;
  }

  async function install(id: ModelId, onState: (state: ModelState) => void): Promise<void> {
    const pack = find(id);
    if (running.has(id)) throw new AppError('invalid_request', `${pack.title} is being installed already.`);
    const abort = new AbortController();
    running.set(pack.id, abort);
    const total = totalBytes(pack);
    const started = performance.now();
    let done = 0;
    let current = 0;
    let bytesAtStart: number | null = null;
    let toldAt = 0;
    const tell = (force: boolean) => {
      const now = performance.now();
      if (!force && now - toldAt < PROGRESS_EVERY_MS) return;
      toldAt = now;
      const received = done + current;
      bytesAtStart ??= received;
      const seconds = (now - started) / 1000;
      onState({
        stage: 'downloading',
        receivedBytes: received,
        totalBytes: total,
        bytesPerSecond: seconds > 0.5 ? (received - bytesAtStart) / seconds : null,
      });
    };
    try {
      for (const file of pack.files) {
        await downloadFile({
          files,
          model: pack.id,
          file,
          url: new URL(file.path, new URL(pack.url, base)).href,
          signal: abort.signal,
          onProgress(receivedBytes) {
            current = receivedBytes;
            tell(false);
          },
          onVerify: () => onState({ stage: 'verifying', file: file.path }),
        });
        done += file.sizeBytes;
        current = 0;
        tell(true);
      }
      onState({ stage: 'installed', installedAt: Date.now() });
    } catch (thrown) {
      const error = toAppError(thrown);
      onState({ stage: 'failed', message: error.message, receivedBytes: done + current, totalBytes: total });
      throw error;
    } finally {
      running.delete(pack.id);
    }
  }

  return {
    list: () => Promise.all(packs.map(async (pack) => ({ pack, state: await state(pack) }))),
    install,
    cancel: (id) => running.get(id)?.abort(),
    async remove(id) {
      running.get(id)?.abort();
      await files.removeModel(find(id).id);
    },
  };
}
