import type { ImportOffer } from '#protocol/import.ts';
import type { LibraryWorker } from '#protocol/library-worker.ts';
import { AppError } from '#protocol/error.ts';
import type { AnyPack, Licence, ModelId, PackFile } from '#protocol/model.ts';
import { foldName } from '#protocol/names.ts';
import type { ImportedPack } from '#storage/packs.ts';
import { catalogue } from './catalogue/index.ts';
import {
  checkRoom,
  installPack,
  packState,
  SOURCE_FOLDER,
  type Installable,
  type PackStorage,
} from './install-pack.ts';
import { guessPrediction, isImportedFamily, modelFacts } from './offers/families.ts';
import { toPackFile, type Finding, type PackDraft } from './offers/finding.ts';
import { fingerprint, inspectListing } from './offers/inspect.ts';
import { toFileStem } from './pack-names.ts';
import { publicAddress } from './sources/addresses.ts';
import { listSource } from './sources/list.ts';
import type { Listing, SourceFile } from './sources/source-file.ts';

const HUB = 'https://huggingface.co';

const UNKNOWN_LICENCE: Licence = { name: 'unknown' };

/** The parts of a library. */
export interface LibraryParts extends PackStorage {
  /** The packs that come with the app; the first is the built-in model. */
  packs: readonly AnyPack[];
  /** What relative URLs of packs are resolved against. */
  base: string;
  /** Origin of the Hugging Face hub. */
  hub?: string;
}

interface Running {
  abort: AbortController;
  /** Resolves when no part of it is being written any more. */
  ended: Promise<unknown>;
}

/** Lists, installs, imports and removes packs. */
export function createLibrary(parts: LibraryParts): LibraryWorker {
  const { packs, files, imported, base, hub = HUB } = parts;
  const running = new Map<ModelId, Running>();

  const builtIn = (pack: AnyPack): Installable => ({
    pack,
    storage: 'exact',
    from: 'url',
    sources: [],
    record: null,
  });
  const fromRecord = (record: ImportedPack): Installable => ({ ...record, record });

  async function all(): Promise<Installable[]> {
    return [...packs.map(builtIn), ...(await imported.all()).map(fromRecord)];
  }

  async function find(id: ModelId): Promise<Installable> {
    const known = packs.find((pack) => pack.id === id);
    if (known) return builtIn(known);
    const record = await imported.get(id);
    if (record) return fromRecord(record);
    throw new AppError(
      'model_not_found',
      `The model “${id}” is not installed. Install it in Models, or choose another.`,
      { detail: { model: id } },
    );
  }

  function urlOf(pack: AnyPack, file: PackFile): string | undefined {
    if (file.url !== undefined) return new URL(file.url, base).href;
    return pack.url === null ? undefined : new URL(file.path, new URL(pack.url, base)).href;
  }

  /** Runs one install of a pack; there is never a second one at the same time. */
  async function run(
    wanted: Installable,
    local: ReadonlyMap<string, SourceFile>,
    onState: Parameters<LibraryWorker['install']>[1],
  ): Promise<void> {
    const { pack } = wanted;
    if (running.has(pack.id))
      throw new AppError('invalid_request', `${pack.title} is already being installed.`);
    const tell: typeof onState = (changed, state) => onState(withoutKeys(changed), state);
    const abort = new AbortController();
    const installing = installPack(
      parts,
      wanted,
      local,
      (file) => urlOf(pack, file),
      abort.signal,
      tell,
    ).finally(() => running.delete(pack.id));
    running.set(pack.id, { abort, ended: installing.catch(() => undefined) });
    await installing;
  }

  /** The name it has here already, or a free one. */
  async function chooseId(title: string, print: string): Promise<ModelId> {
    const stem = toFileStem(title);
    const known = await imported.all();
    const same = known.find((record) => record.fingerprint === print);
    if (same) return same.pack.id;
    const taken = new Set([...packs, ...known.map((record) => record.pack)].map(({ id }) => foldName(id)));
    let id = stem;
    for (let number = 2; taken.has(foldName(id)); number++) id = `${stem}-${number}`;
    return id;
  }

  async function look(
    source: Parameters<LibraryWorker['inspect']>[0],
    device: Parameters<LibraryWorker['inspect']>[1],
  ): Promise<{ listing: Listing; finding: Finding; print: string; offer: ImportOffer }> {
    const listing = await listSource(source, hub);
    const finding = await inspectListing(listing, device);
    const print = await fingerprint(finding.files);
    const offer: ImportOffer = {
      ...finding.offer,
      id: await chooseId(listing.title, print),
      title: listing.title,
      licence: listing.licence ?? finding.licence ?? UNKNOWN_LICENCE,
      files: finding.files.map(({ path, file }) => ({ path, sizeBytes: file.size, sha256: file.sha256 })),
    };
    return { listing, finding, print, offer };
  }

  return {
    list: async () =>
      Promise.all(
        (await all()).map(async (known) => ({
          pack: withoutKeys(known.pack),
          state: await packState(files, known),
        })),
      ),

    async install(id, onState) {
      await run(await find(id), new Map(), onState);
    },

    cancel: (id) => running.get(id)?.abort.abort(),

    async remove(id) {
      // Before the first await, or it might end in the meantime.
      const install = running.get(id);
      install?.abort.abort();
      const { record } = await find(id);
      // What it still writes would outlive the rest.
      await install?.ended;
      await files.removeModel(id);
      if (record) await imported.remove(id);
    },

    inspect: async (source, device) => (await look(source, device)).offer,

    async importPack(source, choice, device, onState) {
      const { listing, finding, print, offer } = await look(source, device);
      if (offer.problem !== null) throw new AppError('unsupported_feature', offer.problem);
      if (offer.options.every(({ storage }) => storage !== choice.storage)) {
        throw new AppError(
          'invalid_request',
          `${offer.title} cannot be stored as ${choice.storage}. Choose another format.`,
        );
      }
      const { id } = offer;
      if (running.has(id))
        throw new AppError('invalid_request', `${offer.title} is already being installed.`);

      const isDisk = listing.from === 'disk';
      const draft = await finding.draft(choice);
      const isQuantised = choice.storage !== 'exact';
      // Quantised files have other names in the pack.
      const weights = finding.files.filter(({ path }) => isQuantised && path.endsWith('.safetensors'));
      const fresh: ImportedPack = {
        pack: {
          ...toPack(draft, offer, listing),
          importedFrom: source.from === 'url' ? publicAddress(source.url.trim()) : null,
        },
        storage: choice.storage,
        from: isDisk ? 'disk' : 'url',
        sources: isDisk ? [] : weights.map(toSource),
        fingerprint: print,
        importedAt: Date.now(),
      };
      const earlier = await imported.get(id);
      if (earlier && earlier.fingerprint !== print) {
        throw new AppError('invalid_request', `Another import took the name “${id}” just now. Try again.`);
      }
      const goesOn = earlier !== undefined && isSameImport(earlier, fresh);
      const record = goesOn ? withAddressesOf(earlier, fresh) : fresh;
      if (!goesOn) {
        await files.removeModel(id);
        await checkRoom([...fresh.sources, ...fresh.pack.files], parts.estimate);
      }
      await imported.put(record);
      const local = new Map<string, SourceFile>();
      if (isDisk) {
        for (const { path, file } of finding.files) {
          const isSource = weights.some((weight) => weight.path === path);
          local.set(isSource ? SOURCE_FOLDER + path : path, file);
        }
      }
      await run(fromRecord(record), local, onState);
      return id;
    },

    catalogue: () =>
      catalogue.map((entry) => {
        const { kind, family, title } = entry;
        if (kind !== 'model' || !isImportedFamily(family)) return { ...entry, values: null };
        return { ...entry, values: modelFacts(family, title, guessPrediction(family, title)).defaults };
      }),
  };
}

function toSource({ path, file }: Finding['files'][number]): PackFile {
  return toPackFile({ path: SOURCE_FOLDER + path, file });
}

/** A pack as others may see it: addresses that files are fetched from may hold the user's keys. */
function withoutKeys<P extends AnyPack>(pack: P): P {
  const files = pack.files.map((file) =>
    file.url === undefined ? file : { ...file, url: publicAddress(file.url) },
  );
  return { ...pack, files };
}

/** An earlier import with today's addresses: keys and signatures in them expire. */
function withAddressesOf(earlier: ImportedPack, fresh: ImportedPack): ImportedPack {
  const addresses = new Map(
    [...fresh.sources, ...fresh.pack.files].flatMap(({ path, url }) =>
      url === undefined ? [] : [[path, url] as const],
    ),
  );
  const renew = (file: PackFile): PackFile => {
    const url = addresses.get(file.path);
    return url === undefined ? file : { ...file, url };
  };
  return {
    ...earlier,
    pack: { ...earlier.pack, files: earlier.pack.files.map(renew) },
    sources: earlier.sources.map(renew),
  };
}

function toPack(draft: PackDraft, offer: ImportOffer, listing: Listing): AnyPack {
  return {
    ...draft,
    id: offer.id,
    title: offer.title,
    url: null,
    licence: offer.licence,
    credits: listing.origin === '' ? 'From your disk.' : `From ${listing.origin}.`,
  };
}

/** Whether an import resumes an earlier one: the same files, the same storage, the same prediction type. */
function isSameImport(earlier: ImportedPack, fresh: ImportedPack): boolean {
  const configs = ({ pack }: ImportedPack) => JSON.stringify(pack.kind === 'model' ? pack.configs : null);
  return (
    earlier.fingerprint === fresh.fingerprint &&
    earlier.storage === fresh.storage &&
    earlier.from === fresh.from &&
    configs(earlier) === configs(fresh)
  );
}
