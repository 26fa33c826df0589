import { proxy } from 'comlink';
import type { BackendInfo, HostEvent } from '#protocol/engine-host.ts';
import { AppError } from '#protocol/error.ts';
import { traced } from '#protocol/trace.ts';
import type { ImportChoice, ImportSource } from '#protocol/import.ts';
import type { OnPackState } from '#protocol/library-worker.ts';
import {
  isIncluded,
  packHash,
  sumBytes,
  type AddOnInfo,
  type AnyPack,
  type ModelId,
  type ModelInfo,
  type ModelPack,
  type ModelState,
} from '#protocol/model.ts';
import type { LibraryCalls } from './library-process.ts';

interface Known {
  pack: AnyPack;
  state: ModelState;
}

/**
 * Models and add-ons as the host knows them: a mirror of what the library worker keeps, and the one place that starts
 * its downloads.
 * @param chosenModel the id the user selected, which may name a model that is gone
 */
export async function createPacks(
  library: LibraryCalls,
  chosenModel: () => unknown,
  emit: (event: HostEvent) => void,
) {
  const known = new Map<ModelId, Known>();
  for (const entry of await traced('list the packs', () => library.list())) known.set(entry.pack.id, entry);
  const builtIn = [...known.keys()][0];
  /** Downloads under way, each with the packs it brings. */
  const downloads = new Map<Promise<unknown>, ReadonlySet<ModelId>>();

  function find(id: ModelId): Known {
    const found = known.get(id);
    if (found) return found;
    throw new AppError(
      'model_not_found',
      `The model “${id}” is not installed. Install it in Models, or choose another.`,
      { detail: { model: id } },
    );
  }

  function findModel(id: ModelId): ModelPack {
    const { pack } = find(id);
    if (pack.kind === 'model') return pack;
    throw new AppError(
      'model_not_found',
      `“${id}” is a ${pack.kind}, not a checkpoint. Choose a checkpoint.`,
      {
        detail: { model: id },
      },
    );
  }

  function selected(): ModelId | undefined {
    const chosen = chosenModel();
    return typeof chosen === 'string' && known.get(chosen)?.pack.kind === 'model' ? chosen : builtIn;
  }

  const describe = <P extends AnyPack>(pack: P, state: ModelState) => ({
    pack,
    sizeBytes: sumBytes(pack.files),
    sha256: packHash(pack),
    state,
  });

  function models(): ModelInfo[] {
    return [...known.values()].flatMap(({ pack, state }) =>
      pack.kind === 'model' ? [{ ...describe(pack, state), selected: pack.id === selected() }] : [],
    );
  }

  function addOns(): AddOnInfo[] {
    return [...known.values()].flatMap(({ pack, state }) =>
      pack.kind === 'model' ? [] : [describe(pack, state)],
    );
  }

  const tellModels = () => emit({ type: 'models', models: models() });
  const tellAddOns = () => emit({ type: 'add-ons', addOns: addOns() });

  /** Looks at these packs again; what the others' downloads tell stays. */
  async function refresh(ids: ReadonlySet<ModelId>): Promise<void> {
    const entries = new Map((await library.list()).map((entry) => [entry.pack.id, entry]));
    for (const id of ids) {
      const entry = entries.get(id);
      if (entry) known.set(id, entry);
      else known.delete(id);
    }
    tellModels();
    tellAddOns();
  }

  /**
   * Runs a download and hears its news. Its end comes by another port and can overtake them: then it is looked at.
   * @param ids the packs it brings, as far as they are known in advance; reported ones are added
   */
  async function follow<T>(ids: Set<ModelId>, start: (onState: OnPackState) => Promise<T>): Promise<T> {
    let isOver = false;
    const onState: OnPackState = (pack, state) => {
      if (isOver) return;
      ids.add(pack.id);
      known.set(pack.id, { pack, state });
      if (pack.kind === 'model') tellModels();
      else tellAddOns();
    };
    try {
      return await start(proxy(onState));
    } finally {
      isOver = true;
      await refresh(ids);
    }
  }

  function begin<T>(ids: Set<ModelId>, start: (onState: OnPackState) => Promise<T>): Promise<T> {
    const running = follow(ids, start).finally(() => downloads.delete(running));
    downloads.set(running, ids);
    return running;
  }

  const runningFor = (id: ModelId) => [...downloads].find(([, ids]) => ids.has(id))?.[0];

  const isInstalled = (id: ModelId) => known.get(id)?.state.stage === 'installed';

  return {
    /** A pack that is known, installed or not. */
    find: (id: ModelId): AnyPack | undefined => known.get(id)?.pack,
    findModel,
    models,
    addOns,
    isInstalled,
    selected,
    /** Whether it is installed, comes with the app, or is being installed. */
    isComing(id: ModelId): boolean {
      const entry = known.get(id);
      return (
        entry !== undefined && (isIncluded(entry.pack) || isInstalled(id) || runningFor(id) !== undefined)
      );
    },
    installed: (): AnyPack[] =>
      [...known.values()].flatMap(({ pack, state }) => (state.stage === 'installed' ? [pack] : [])),
    tellModels,

    /** Everybody who asks for the same pack shares one download. */
    async install(id: ModelId): Promise<void> {
      find(id);
      if (isInstalled(id)) return;
      await (runningFor(id) ?? begin(new Set([id]), (onState) => library.install(id, onState)));
    },
    /** Jobs may be queued as soon as its first news has arrived. */
    importPack: (source: ImportSource, choice: ImportChoice, device: BackendInfo | null): Promise<ModelId> =>
      begin(new Set(), (onState) => library.importPack(source, choice, device, onState)),
    async remove(id: ModelId): Promise<void> {
      find(id);
      await library.remove(id);
      await refresh(new Set([id]));
    },
  };
}
