import { proxy, type Remote } from 'comlink';
import type { BackendInfo, HostEvent } from '#protocol/engine-host.ts';
import { AppError } from '#protocol/error.ts';
import type { ImportChoice, ImportSource } from '#protocol/import.ts';
import type { LibraryWorker } from '#protocol/library-worker.ts';
import {
  packHash,
  type AddOnInfo,
  type AddOnPack,
  type AnyPack,
  type ModelId,
  type ModelInfo,
  type ModelPack,
  type ModelState,
} from '#protocol/model.ts';

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
  library: Remote<LibraryWorker>,
  chosenModel: () => unknown,
  emit: (event: HostEvent) => void,
) {
  const known = new Map<ModelId, Known>();
  for (const { pack, state } of await library.list()) known.set(pack.id, { pack, state });
  const builtIn = [...known.keys()][0];
  const installs = new Map<ModelId, Promise<unknown>>();

  function find(id: ModelId): Known {
    const found = known.get(id);
    if (found) return found;
    throw new AppError('model_not_found', `There is no model called “${id}”.`, { detail: { model: id } });
  }

  function findModel(id: ModelId): ModelPack {
    const { pack } = find(id);
    if (pack.kind === 'model') return pack;
    throw new AppError('model_not_found', `“${id}” is not a model by itself but a ${pack.kind}.`, {
      detail: { model: id },
    });
  }

  function selected(): ModelId | undefined {
    const chosen = chosenModel();
    return typeof chosen === 'string' && known.get(chosen)?.pack.kind === 'model' ? chosen : builtIn;
  }

  const describe = <P extends AnyPack>(pack: P, state: ModelState) => ({
    pack,
    sizeBytes: pack.files.reduce((sum, file) => sum + file.sizeBytes, 0),
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

  function tell({ kind }: AnyPack): void {
    emit(kind === 'model' ? { type: 'models', models: models() } : { type: 'add-ons', addOns: addOns() });
  }

  function update(pack: AnyPack, state: ModelState): void {
    known.set(pack.id, { pack, state });
    tell(pack);
  }

  const onState = proxy(update);

  const isInstalled = (id: ModelId) => known.get(id)?.state.stage === 'installed';

  return {
    findModel,
    models,
    addOns,
    isInstalled,
    selected,
    /** Whether it is here, comes along by itself, or is on its way. */
    isComing: (id: ModelId) => isInstalled(id) || id === builtIn || installs.has(id),
    installedAddOns: (): AddOnPack[] =>
      addOns().flatMap(({ pack, state }) => (state.stage === 'installed' ? [pack] : [])),
    tellModels: () => emit({ type: 'models', models: models() }),

    /** Everybody who asks for the same pack shares one download. */
    async install(id: ModelId): Promise<void> {
      find(id);
      if (isInstalled(id)) return;
      const running = installs.get(id) ?? library.install(id, onState).finally(() => installs.delete(id));
      installs.set(id, running);
      await running;
    },
    /** Jobs may be asked for as soon as the first news of it has come. */
    async importPack(
      source: ImportSource,
      choice: ImportChoice,
      device: BackendInfo | null,
    ): Promise<ModelId> {
      const { promise: done, resolve, reject } = Promise.withResolvers<undefined>();
      done.catch(() => undefined);
      const coming = new Set<ModelId>();
      try {
        const id = await library.importPack(
          source,
          choice,
          device,
          proxy((pack: AnyPack, state: ModelState) => {
            coming.add(pack.id);
            installs.set(pack.id, done);
            update(pack, state);
          }),
        );
        resolve(undefined);
        return id;
      } catch (error) {
        reject(error);
        throw error;
      } finally {
        for (const id of coming) installs.delete(id);
      }
    },
    async remove(id: ModelId): Promise<void> {
      const { pack } = find(id);
      await library.remove(id);
      const left = await library.list();
      known.clear();
      for (const entry of left) known.set(entry.pack.id, entry);
      tell(pack);
    },
  };
}
