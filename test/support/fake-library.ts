import { AppError } from '#protocol/error.ts';
import type { CatalogueEntry, ImportOffer, ImportSource } from '#protocol/import.ts';
import type { LibraryWorker, OnPackState } from '#protocol/library-worker.ts';
import { sumBytes, type AnyPack, type ModelId, type ModelState } from '#protocol/model.ts';
import { expose, wrap, type Remote } from 'comlink';

const INSTALLED: ModelState = { stage: 'installed', installedAt: 0 };

export interface FakeLibraryOptions {
  /** Packs and where they stand; the built-in model is the first. */
  packs: readonly { pack: AnyPack; state: ModelState }[];
  catalogue?: readonly CatalogueEntry[];
  /** Milliseconds for a tenth of a download. */
  downloadMs?: number;
  /** What something to import is; nothing can be imported without. */
  offerOf?: (source: ImportSource) => { offer: ImportOffer; pack: AnyPack };
}

/** A library whose files have no bytes: downloads only take their time, and can be stopped and resumed. */
export function startFakeLibrary({
  packs,
  catalogue = [],
  downloadMs = 0,
  offerOf = () => {
    throw new AppError('invalid_request', 'Nothing can be imported here.');
  },
}: FakeLibraryOptions): Remote<LibraryWorker> {
  const known = new Map(packs.map((entry) => [entry.pack.id, entry]));
  const builtIn = packs[0]?.pack.id;
  const stops = new Map<ModelId, AbortController>();

  async function bring(pack: AnyPack, onState: OnPackState): Promise<void> {
    const stop = new AbortController();
    stops.set(pack.id, stop);
    const tell = (state: ModelState) => {
      known.set(pack.id, { pack, state });
      onState(pack, state);
    };
    const totalBytes = sumBytes(pack.files);
    const before = known.get(pack.id)?.state;
    const done = before && 'receivedBytes' in before ? before.receivedBytes / totalBytes : 0;
    for (let tenth = Math.round(done * 10); tenth < 10; tenth++) {
      const receivedBytes = (tenth / 10) * totalBytes;
      if (stop.signal.aborted) {
        tell({ stage: 'failed', message: 'Stopped.', receivedBytes, totalBytes });
        throw new AppError('cancelled', 'The download was stopped.');
      }
      tell({ stage: 'downloading', receivedBytes, totalBytes, bytesPerSecond: 4_000_000 });
      await new Promise((resolve) => setTimeout(resolve, downloadMs));
    }
    tell(INSTALLED);
  }

  const library: LibraryWorker = {
    list: () => Promise.resolve([...known.values()]),
    async install(id, onState) {
      const pack = known.get(id)?.pack;
      if (!pack)
        throw new AppError(
          'model_not_found',
          `The model “${id}” is not installed. Install it in Models, or choose another.`,
        );
      await bring(pack, onState);
    },
    cancel: (id) => stops.get(id)?.abort(),
    remove(id) {
      const entry = known.get(id);
      if (entry && id === builtIn) known.set(id, { ...entry, state: { stage: 'absent' } });
      else known.delete(id);
      return Promise.resolve();
    },
    async inspect(source) {
      await new Promise((resolve) => setTimeout(resolve, downloadMs));
      return offerOf(source).offer;
    },
    async importPack(source, choice, _device, onState) {
      const { offer, pack } = offerOf(source);
      if (offer.problem !== null) throw new AppError('unsupported_feature', offer.problem);
      const sizeBytes = offer.options.find(({ storage }) => storage === choice.storage)?.sizeBytes ?? 0;
      const files = pack.files.map((file) => ({ ...file, sizeBytes }));
      await bring({ ...pack, files }, onState);
      return pack.id;
    },
    catalogue: () => [...catalogue],
  };
  const { port1, port2 } = new MessageChannel();
  expose(library, port1);
  return wrap<LibraryWorker>(port2);
}
