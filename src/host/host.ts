import { proxy, type Remote } from 'comlink';
import type { BackendInfo, EngineHost, GalleryItem, HostEvent, StopWatching } from '#protocol/engine-host.ts';
import type { BackendChoice } from '#protocol/engine-worker.ts';
import { AppError } from '#protocol/error.ts';
import type { JobRecord, JobResult } from '#protocol/job.ts';
import type { LibraryWorker } from '#protocol/library-worker.ts';
import type { ModelId, ModelInfo, ModelPack, ModelState } from '#protocol/model.ts';
import type { Settings } from '#protocol/settings.ts';
import { PROTOCOL } from '#protocol/version.ts';
import type { Jobs } from '#storage/jobs.ts';
import type { PublishedFiles } from '#storage/published-files.ts';
import type { SettingsStore } from '#storage/settings.ts';
import { createEngineProcess } from './engine-process.ts';
import { createJobQueue } from './job-queue.ts';

/** Settings of the app itself; everything else under a dialect's own option names. */
const BACKEND_SETTING = 'app.backend';
const MODEL_SETTING = 'app.model';

/** Ids of gallery items: `job/index`. */
const GALLERY_ID = /^(.+)\/(\d+)$/;

export interface HostParts {
  hostId: string;
  startEngineWorker: () => Worker;
  library: Remote<LibraryWorker>;
  jobs: Jobs;
  files: PublishedFiles;
  settings: SettingsStore;
  /** A backend demanded by the page's address, over the setting. */
  forcedBackend: BackendChoice | null;
  /** Told once of each job, when it has ended. */
  onJobEnded: (record: JobRecord) => void;
}

function toBackendChoice(value: unknown): BackendChoice {
  return value === 'webgpu' || value === 'wasm' ? value : 'auto';
}

/** The largest file names the model, as a checkpoint's hash does in A1111. */
function modelHash(pack: ModelPack): string {
  const largest = pack.files.reduce((best, file) => (file.sizeBytes > best.sizeBytes ? file : best));
  return largest.sha256;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function galleryItems(record: JobRecord): GalleryItem[] {
  return (record.result?.pictures ?? []).map((picture) => ({
    id: `${record.id}/${String(picture.index)}`,
    jobId: record.id,
    client: record.origin.client,
    createdAt: record.finishedAt ?? record.startedAt ?? record.queuedAt,
    blob: picture.blob,
    width: picture.width,
    height: picture.height,
    seed: picture.seed.toString(),
    infotext: picture.infotext,
    job: record.job,
    index: picture.index,
  }));
}

/**
 * The tab's side of the protocol: queue, models, settings, gallery. Everything that must survive the tab is
 * in storage; what is kept here can be lost.
 */
export async function createEngineHost(parts: HostParts) {
  const { hostId, library, jobs, files } = parts;
  const watchers = new Set<(event: HostEvent) => void>();
  let settings: Settings = await parts.settings.all();
  let backend: BackendInfo | null = null;
  const known = await library.list();
  const states = new Map<ModelId, ModelState>(known.map(({ pack, state }) => [pack.id, state]));
  const packs = new Map<ModelId, ModelPack>(known.map(({ pack }) => [pack.id, pack]));
  const installs = new Map<ModelId, Promise<void>>();
  const builtIn = known[0]?.pack;

  function emit(event: HostEvent): void {
    for (const watcher of watchers) watcher(event);
  }

  const backendChoice = () => parts.forcedBackend ?? toBackendChoice(settings[BACKEND_SETTING]);
  const engine = createEngineProcess(parts.startEngineWorker, backendChoice, (chosen) => {
    backend = chosen;
    emit({ type: 'backend', backend: chosen });
  });

  function findPack(id: ModelId): ModelPack {
    const pack = packs.get(id);
    if (!pack)
      throw new AppError('model_not_found', `There is no model called “${id}”.`, { detail: { model: id } });
    return pack;
  }

  function selectedModel(): ModelId | undefined {
    const chosen = settings[MODEL_SETTING];
    return typeof chosen === 'string' && packs.has(chosen) ? chosen : builtIn?.id;
  }

  function models(): ModelInfo[] {
    return [...packs.values()].map((pack) => ({
      pack,
      sizeBytes: pack.files.reduce((sum, file) => sum + file.sizeBytes, 0),
      sha256: modelHash(pack),
      state: states.get(pack.id) ?? { stage: 'absent' },
      selected: pack.id === selectedModel(),
    }));
  }

  function setModelState(id: ModelId, state: ModelState): void {
    states.set(id, state);
    emit({ type: 'models', models: models() });
  }

  function isInstalled(id: ModelId): boolean {
    return states.get(id)?.stage === 'installed';
  }

  /** Everybody who asks for the same model shares one download. */
  function install(id: ModelId): Promise<void> {
    findPack(id);
    if (isInstalled(id)) return Promise.resolve();
    const running = installs.get(id);
    if (running) return running;
    const started = library
      .install(
        id,
        proxy((state: ModelState) => setModelState(id, state)),
      )
      .finally(() => installs.delete(id));
    installs.set(id, started);
    return started;
  }

  let shown: JobResult | null = null;
  const queue = createJobQueue(
    jobs,
    {
      async run(job, onEvent, signal) {
        const pack = findPack(job.model);
        // The download goes on for the next job.
        await Promise.race([install(pack.id), aborted(signal)]);
        return engine.run(pack, job, onEvent, signal);
      },
      ended: parts.onJobEnded,
    },
    (event) => {
      emit(event);
      const result = event.type === 'record' ? event.record.result : null;
      // Records come with every step; the gallery changes with a picture.
      if (event.type === 'removed' || (result && result !== shown)) emit({ type: 'gallery' });
      if (result) shown = result;
    },
  );

  async function locate(itemId: string): Promise<{ record: JobRecord; index: number } | undefined> {
    const [, jobId, index] = GALLERY_ID.exec(itemId) ?? [];
    const record = jobId === undefined ? undefined : await queue.find(jobId);
    return record && { record, index: Number(index) };
  }

  /** The host as one client sees it; `gone` resolves when that client can no longer be answered. */
  function serve(gone: Promise<unknown>): EngineHost {
    return {
      hello: () => ({ protocol: PROTOCOL, hostId, backend }),

      async submit(id, job, origin) {
        const pack = findPack(job.model);
        if (!isInstalled(pack.id) && pack.id !== builtIn?.id) {
          throw new AppError(
            'model_not_found',
            `${pack.title} is not installed. Install it in the Models panel.`,
            {
              detail: { model: pack.id },
            },
          );
        }
        return queue.submit(id, job, origin);
      },
      wait: (id) => queue.wait(id, gone),
      job: (id) => queue.find(id),
      jobs: () => queue.all(),
      unfinishedJobs: () => queue.unfinished(),
      preview: (id) => Promise.resolve(queue.preview(id)),
      cancel: (id) => queue.cancel(id),
      async skip(id) {
        if (queue.isRunning(id)) await engine.skip();
      },
      async removeJob(id) {
        const removed = await queue.changeEnded(id, () => null);
        if (removed) await files.removeJob(id);
        return removed;
      },
      watch(listener): StopWatching {
        watchers.add(listener);
        void gone.then(() => watchers.delete(listener));
        // A function crosses threads as a proxy, or not at all.
        return proxy(() => void watchers.delete(listener));
      },

      models: () => Promise.resolve(models()),
      installModel: install,
      async cancelInstall(id) {
        await library.cancel(id);
      },
      async removeModel(id) {
        findPack(id);
        await engine.unload();
        await library.remove(id);
        setModelState(id, { stage: 'absent' });
      },
      async selectModel(id) {
        await update({ [MODEL_SETTING]: findPack(id).id });
        emit({ type: 'models', models: models() });
      },
      samplingPlan: (choice, steps, model) => engine.samplingPlan(findPack(model), choice, steps),

      settings: () => Promise.resolve(settings),
      updateSettings: update,

      async gallery() {
        const records = await queue.all();
        return records.flatMap(galleryItems).sort((a, b) => b.createdAt - a.createdAt || b.index - a.index);
      },
      async galleryItem(id) {
        const found = await locate(id);
        return found && galleryItems(found.record).find((item) => item.index === found.index);
      },
      async removeGalleryItem(id) {
        const found = await locate(id);
        if (!found?.record.result) return;
        const { record, index } = found;
        const isChanged = await queue.changeEnded(record.id, ({ result, ...rest }) => {
          const pictures = result?.pictures.filter((picture) => picture.index !== index) ?? [];
          return result && pictures.length > 0 ? { ...rest, result: { ...result, pictures } } : null;
        });
        if (!isChanged) {
          throw new AppError(
            'invalid_request',
            'A picture of a running job cannot be removed. Stop the job first.',
          );
        }
        if (!(await queue.find(record.id))) await files.removeJob(record.id);
      },

      async file(path) {
        const published = await files.find(path);
        const record = published && (await queue.find(published.jobId));
        return record?.result?.pictures.find((picture) => picture.index === published?.index)?.blob;
      },
      async publishFiles(id, paths) {
        await Promise.all(paths.map((path, index) => files.publish({ path, jobId: id, index })));
      },

      async storage() {
        const { usage = 0, quota = 0 } = await navigator.storage.estimate();
        return { usageBytes: usage, quotaBytes: quota, persisted: await navigator.storage.persisted() };
      },
      persistStorage: () => navigator.storage.persist(),
    };
  }

  async function update(changes: Settings): Promise<Settings> {
    const before = backendChoice();
    await parts.settings.update(changes);
    settings = { ...settings, ...changes };
    emit({ type: 'settings', settings });
    if (backendChoice() !== before) engine.restart();
    return settings;
  }

  return {
    serve,
    /** Loads the chosen model ahead of the first job. */
    async warmUp(): Promise<void> {
      const selected = selectedModel();
      // A model that cannot be loaded says so when it is first used.
      if (selected !== undefined && isInstalled(selected))
        await engine.load(findPack(selected)).catch(() => undefined);
    },
  };
}

export type HostingTab = Awaited<ReturnType<typeof createEngineHost>>;
