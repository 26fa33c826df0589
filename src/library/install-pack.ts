import type { Component } from '#weights/checkpoint.ts';
import { AppError, toAppError } from '#protocol/error.ts';
import type { OnPackState } from '#protocol/library-worker.ts';
import { sumBytes, type AnyPack, type ModelState, type PackFile } from '#protocol/model.ts';
import { isPartOf, type ModelFiles, type StoredFile } from '#storage/model-files.ts';
import type { ImportedPack, ImportedPacks } from '#storage/packs.ts';
import { bringFile, type OpenBytes } from './bring-file.ts';
import { storedComponents, type Components } from './offers/finding.ts';
import { openComponents } from './offers/open-components.ts';
import { openHttp } from './sources/http.ts';
import type { SourceFile } from './sources/source-file.ts';
import { writeNetwork } from './write-network.ts';

/** The shortest time between two progress reports. */
const PROGRESS_EVERY_MS = 100;

/** Sources of quantised files are kept apart from the pack's own files while they are needed. */
export const SOURCE_FOLDER = 'source/';

/** Where packs and their files are kept. */
export interface PackStorage {
  files: ModelFiles;
  imported: ImportedPacks;
  /** Storage of this origin, where it is known. */
  estimate: () => Promise<StorageEstimate>;
}

/** A pack to install: a built-in one, or one that is imported. */
export type Installable = Pick<ImportedPack, 'pack' | 'storage' | 'sources' | 'from'> & {
  /** The record to be completed; null for built-in packs. */
  record: ImportedPack | null;
};

/** Whether a file of a pack is made here instead of downloaded or copied. */
function isMade({ storage }: Pick<Installable, 'storage'>, { path }: PackFile): boolean {
  return storage !== 'exact' && path.endsWith('model.safetensors');
}

/** The part of a file that is stored, if it is a part of the file the pack names. */
async function storedPart(files: ModelFiles, pack: AnyPack, file: PackFile): Promise<StoredFile | undefined> {
  const stored = await files.stored(pack.id, file.path);
  return stored && isPartOf(stored, file) ? stored : undefined;
}

/** Bytes of these files that are here. */
async function receivedBytes(files: ModelFiles, pack: AnyPack, wanted: readonly PackFile[]): Promise<number> {
  const stored = await Promise.all(wanted.map((file) => storedPart(files, pack, file)));
  return stored.flatMap((file) => file?.pieceBytes ?? []).reduce((sum, bytes) => sum + bytes, 0);
}

/** A pack's status, from what is stored. */
export async function packState(files: ModelFiles, wanted: Installable): Promise<ModelState> {
  const { pack, record } = wanted;
  const whole = await Promise.all(
    pack.files.map(async (file) => {
      const stored = await files.stored(pack.id, file.path);
      return stored?.verifiedAt == null ? null : { at: stored.verifiedAt, isOwn: isPartOf(stored, file) };
    }),
  );
  const sealed = whole.map((file) => (file?.isOwn ? file.at : null));
  if (sealed.every((at) => at !== null)) return { stage: 'installed', installedAt: Math.max(...sealed) };
  const all = [...wanted.sources, ...pack.files];
  const received = await receivedBytes(files, pack, all);
  if (received === 0 && record === null) return { stage: 'absent' };
  return {
    stage: 'failed',
    message: whatIsMissing(
      wanted,
      whole.some((file) => file?.isOwn === false),
    ),
    receivedBytes: received,
    totalBytes: sumBytes(all),
  };
}

/** Why a pack of which something is stored cannot be used. @param hasOthers whether other files are stored in place of its own */
function whatIsMissing({ pack, from, record }: Installable, hasOthers: boolean): string {
  if (from === 'disk') return `The import is not complete. Drop ${pack.title} here again to go on.`;
  // Packs that come with the app change with it.
  if (record === null && hasOthers)
    return 'This app comes with a newer version of it than the one stored here.';
  return 'The download is not complete.';
}

/** What to do about a file that cannot be fetched by the pack itself. */
function howToGoOn({ pack, from }: Installable): string {
  return from === 'disk'
    ? `${pack.title} comes from your disk. Drop it here again to go on.`
    : `It is not known where ${pack.title} is fetched from. Add it by its address again to go on.`;
}

/**
 * Brings a pack here, going on where an earlier try stopped: fetches or copies its files, makes those that are kept
 * quantised, and drops what they were made of.
 * @param local files on the user's disk, by their place in the pack or, where they are to be quantised, as sources
 * @param urlOf where a file is fetched from; undefined for files from the disk
 * @throws AppError as {@link LibraryWorker.install}
 */
export async function installPack(
  { files, imported, estimate }: PackStorage,
  wanted: Installable,
  local: ReadonlyMap<string, SourceFile>,
  urlOf: (file: PackFile) => string | undefined,
  signal: AbortSignal,
  onState: OnPackState,
): Promise<void> {
  let { pack } = wanted;
  let { record } = wanted;
  const made = pack.files.filter((file) => isMade(wanted, file));
  const brought = [...wanted.sources, ...pack.files.filter((file) => !isMade(wanted, file))];
  const all = [...brought, ...made];
  const tell = (state: ModelState) => onState(pack, state);

  /** Notes a hash that was not known before. */
  async function complete(path: string, sha256: string): Promise<void> {
    if (record === null || pack.files.every((file) => file.path !== path || file.sha256 === sha256)) return;
    const filled = pack.files.map((file) => (file.path === path ? { ...file, sha256 } : file));
    pack = { ...pack, files: filled };
    record = { ...record, pack };
    await imported.put(record);
  }

  function openerOf(file: PackFile): OpenBytes {
    const onDisk = local.get(file.path);
    if (onDisk) return onDisk.open;
    const url = urlOf(file);
    if (url !== undefined) return openHttp(url, file.path);
    return () =>
      Promise.reject(new AppError('download_failed', howToGoOn(wanted), { detail: { file: file.path } }));
  }

  async function bringAll(): Promise<void> {
    const total = sumBytes(brought);
    const started = performance.now();
    let done = 0;
    let fetched = 0;
    let toldAt = 0;
    for (const file of brought) {
      /** Null until it is known what an earlier try left of it. */
      let current: number | null = null;
      const progress = (force: boolean) => {
        const now = performance.now();
        if (!force && now - toldAt < PROGRESS_EVERY_MS) return;
        toldAt = now;
        const seconds = (now - started) / 1000;
        tell({
          stage: 'downloading',
          receivedBytes: done + (current ?? 0),
          totalBytes: total,
          bytesPerSecond: seconds > 0.5 ? fetched / seconds : null,
        });
      };
      const sha256 = await bringFile({
        files,
        model: pack.id,
        file,
        open: openerOf(file),
        signal,
        onProgress(received) {
          fetched += Math.max(0, received - (current ?? received));
          current = received;
          progress(false);
        },
        onVerify: () => tell({ stage: 'verifying', file: file.path }),
      });
      await complete(file.path, sha256);
      done += file.sizeBytes;
      current = null;
      progress(true);
    }
  }

  /** The networks to be quantised, from the disk or from what was fetched. */
  async function openSources(): Promise<Components> {
    if (wanted.sources.length === 0) {
      const sources = [...local].filter(([path]) => path.startsWith(SOURCE_FOLDER));
      return openComponents(sources.map(([path, file]) => ({ path: stripSource(path), file })));
    }
    const opened: { path: string; file: Blob }[] = [];
    for (const { path } of wanted.sources) {
      const file = await files.open(pack.id, path);
      if (file) opened.push({ path: stripSource(path), file });
    }
    return openComponents(opened);
  }

  async function makeAll(): Promise<void> {
    const total = sumBytes(made);
    let done = 0;
    let toldAt = 0;
    let components: Components | undefined;
    for (const file of made) {
      const stored = await storedPart(files, pack, file);
      if (stored?.verifiedAt == null || stored.sha256 === null) {
        components ??= storedComponents(await openSources(), wanted.storage);
        const network = components.get(componentOf(file.path, components));
        if (!network) {
          throw new AppError('download_failed', howToGoOn(wanted), { detail: { file: file.path } });
        }
        const sha256 = await writeNetwork(files, pack.id, file, network, signal, (bytes) => {
          const now = performance.now();
          if (now - toldAt < PROGRESS_EVERY_MS) return;
          toldAt = now;
          tell({ stage: 'quantising', doneBytes: done + bytes, totalBytes: total });
        });
        await complete(file.path, sha256);
      } else {
        await complete(file.path, stored.sha256);
      }
      done += file.sizeBytes;
      tell({ stage: 'quantising', doneBytes: done, totalBytes: total });
    }
  }

  try {
    await checkRoom(all, estimate, await receivedBytes(files, pack, all));
    await bringAll();
    if (made.length > 0) await makeAll();
    // Sources that were quantised, and what an earlier release of the pack was made of.
    await files.removeOthers(
      pack.id,
      pack.files.map(({ path }) => path),
    );
    if (record && record.sources.length > 0) await imported.put({ ...record, sources: [] });
    // If it is stopped or removed while its last file is being sealed, it must not be reported as installed.
    if (signal.aborted) throw new AppError('cancelled', 'The install was stopped.');
    tell({ stage: 'installed', installedAt: Date.now() });
  } catch (thrown) {
    const received = await receivedBytes(files, pack, all);
    const error = explainFull(toAppError(thrown), pack, sumBytes(all) - received);
    tell({ stage: 'failed', message: error.message, receivedBytes: received, totalBytes: sumBytes(all) });
    throw error;
  }
}

/**
 * Looks whether there is room before the first byte.
 * @param hereBytes of the files that are here already
 * @throws AppError `storage_full` where the browser says it has less room than is needed
 */
export async function checkRoom(
  files: readonly PackFile[],
  estimate: PackStorage['estimate'],
  hereBytes = 0,
): Promise<void> {
  const neededBytes = sumBytes(files) - hereBytes;
  const { quota, usage } = await estimate();
  if (quota === undefined || usage === undefined || neededBytes <= quota - usage) return;
  const freeBytes = quota - usage;
  throw new AppError(
    'storage_full',
    `It needs ${inGigabytes(neededBytes)}, and the browser has ${inGigabytes(freeBytes)} left for this site. Remove models or images, or choose a smaller format.`,
    { detail: { neededBytes, freeBytes } },
  );
}

/**
 * The error when storage runs out during an install. The browser's estimate of free space is left out: it has just refused to
 * store, whatever it estimates (Chromium counts the disk's space, not what it may use of it).
 */
function explainFull(error: AppError, { title }: AnyPack, neededBytes: number): AppError {
  if (error.code !== 'storage_full' || error.detail !== undefined) return error;
  return new AppError(
    'storage_full',
    `The browser refused to store more; ${inGigabytes(neededBytes)} of ${title} are missing. Free disk space, or remove models or images, and try again to continue. Or remove ${title} to free the part already stored.`,
    { detail: { neededBytes }, cause: error },
  );
}

function inGigabytes(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.max(0, Math.ceil(bytes / 1e6))} MB`;
}

function stripSource(path: string): string {
  return path.slice(SOURCE_FOLDER.length);
}

/** The network in a file that was made here: that of its folder; without one it is the only one of its pack. */
function componentOf(path: string, components: Components): Component {
  const [folder] = path.split('/');
  if (folder === 'unet' || folder === 'vae' || folder === 'text_encoder' || folder === 'text_encoder_2')
    return folder;
  return components.has('image_encoder') ? 'image_encoder' : 'controlnet';
}
