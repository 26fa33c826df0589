import { proxy, type Remote } from 'comlink';
import type { BackendInfo, EngineHost, GalleryItem, HostEvent, StopWatching } from '#protocol/engine-host.ts';
import type { BackendChoice } from '#protocol/engine-worker.ts';
import { AppError, toAppError } from '#protocol/error.ts';
import { networkUpscalersOf, type Job, type JobRecord, type JobResult } from '#protocol/job.ts';
import type { LibraryWorker } from '#protocol/library-worker.ts';
import type { ModelId } from '#protocol/model.ts';
import type { Settings } from '#protocol/settings.ts';
import { PROTOCOL } from '#protocol/version.ts';
import type { Jobs } from '#storage/jobs.ts';
import type { PublishedFiles } from '#storage/published-files.ts';
import type { SettingsStore } from '#storage/settings.ts';
import { createEngineProcess, type EngineThread } from './engine-process.ts';
import { createJobQueue } from './job-queue.ts';
import { createPacks } from './packs.ts';

/** Settings of the app itself; everything else under a dialect's own option names. */
const BACKEND_SETTING = 'app.backend';
const MODEL_SETTING = 'app.model';

/** Ids of gallery items: `job/index`. */
const GALLERY_ID = /^(.+)\/(\d+)$/;

export interface HostParts {
  hostId: string;
  startEngineWorker: () => EngineThread;
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

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function galleryItems(record: JobRecord): GalleryItem[] {
  return (record.result?.images ?? []).map((image) => ({
    id: `${record.id}/${String(image.index)}`,
    jobId: record.id,
    client: record.origin.client,
    createdAt: record.finishedAt ?? record.startedAt ?? record.queuedAt,
    blob: image.blob,
    width: image.width,
    height: image.height,
    seed: image.seed.toString(),
    prompt: image.prompt.join(' '),
    infotext: image.infotext,
    job: record.job,
    index: image.index,
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

  function emit(event: HostEvent): void {
    for (const watcher of watchers) watcher(event);
  }

  const backendChoice = () => parts.forcedBackend ?? toBackendChoice(settings[BACKEND_SETTING]);
  const engine = createEngineProcess(parts.startEngineWorker, backendChoice, (chosen) => {
    backend = chosen;
    emit({ type: 'backend', backend: chosen });
  });
  const packs = await createPacks(library, () => settings[MODEL_SETTING], emit);

  /** A download that is stopped stops the jobs that need it, but is not their own cancellation. */
  async function bring(id: ModelId): Promise<void> {
    try {
      await packs.install(id);
    } catch (thrown) {
      const error = toAppError(thrown);
      if (error.code !== 'cancelled') throw error;
      throw downloadStopped(id, error);
    }
  }

  function downloadStopped(id: ModelId, cause?: AppError): AppError {
    const { title } = packs.findModel(id);
    return new AppError('download_failed', `${title} is not here: its download was stopped.`, { cause });
  }

  let shown: JobResult | null = null;
  const queue = createJobQueue(
    jobs,
    {
      async run(job, onEvent, signal) {
        if (job.task === 'upscale') {
          return engine.run(null, packs.installedAddOns(), job, onEvent, signal);
        }
        // When the job is cancelled, the download goes on for the next one.
        await Promise.race([bring(job.model), aborted(signal)]);
        return engine.run(packs.findModel(job.model), packs.installedAddOns(), job, onEvent, signal);
      },
      ended: parts.onJobEnded,
    },
    (event) => {
      emit(event);
      const result = event.type === 'record' ? event.record.result : null;
      // Records come with every step; the gallery changes with an image.
      if (event.type === 'removed' || (result && result !== shown)) emit({ type: 'gallery' });
      if (result) shown = result;
    },
  );

  /** @throws AppError `model_not_found` for a job that needs what is neither here nor on its way */
  function checkInstalled(job: Job): void {
    const missing =
      job.task === 'upscale'
        ? networkUpscalersOf(job).find((id) => !packs.isInstalled(id))
        : [job.model].find((id) => !packs.isComing(packs.findModel(id).id));
    if (missing === undefined) return;
    const { title } = packs.find(missing);
    throw new AppError('model_not_found', `${title} is not installed. Install it in the Models panel.`, {
      detail: { model: missing },
    });
  }

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
        checkInstalled(job);
        return queue.submit(id, job, origin);
      },
      wait: (id) => queue.wait(id),
      answered: (id) => queue.answered(id),
      job: (id) => queue.find(id),
      jobs: () => queue.all(),
      jobIds: (client) => queue.idsOf(client),
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

      models: () => Promise.resolve(packs.models()),
      addOns: () => Promise.resolve(packs.addOns()),
      catalogue: () => library.catalogue(),
      inspectImport: (source) => library.inspect(source, backend),
      importModel: (source, choice) => packs.importPack(source, choice, backend),
      installModel: (id) => packs.install(id),
      async cancelInstall(id) {
        // The running job hears of it from the download; those in line would only begin it again.
        if (packs.models().some(({ pack, state }) => pack.id === id && state.stage !== 'installed'))
          await queue.refuseWaiting(id, downloadStopped(id));
        await library.cancel(id);
      },
      async removeModel(id) {
        await engine.unload();
        await packs.remove(id);
      },
      async selectModel(id) {
        await update({ [MODEL_SETTING]: packs.findModel(id).id });
        packs.tellModels();
      },
      samplingPlan: (choice, steps, model) => engine.samplingPlan(packs.findModel(model), choice, steps),

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
          const images = result?.images.filter((image) => image.index !== index) ?? [];
          return result && images.length > 0 ? { ...rest, result: { ...result, images } } : null;
        });
        if (!isChanged) {
          throw new AppError(
            'invalid_request',
            'An image of a running job cannot be removed. Stop the job first.',
          );
        }
        if (!(await queue.find(record.id))) await files.removeJob(record.id);
      },

      async file(path) {
        const published = await files.find(path);
        const record = published && (await queue.find(published.jobId));
        return record?.result?.images.find((image) => image.index === published?.index)?.blob;
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
      const selected = packs.selected();
      // A model that cannot be loaded says so when it is first used.
      if (selected !== undefined && packs.isInstalled(selected))
        await engine.load(packs.findModel(selected)).catch(() => undefined);
    },
  };
}

export type HostingTab = Awaited<ReturnType<typeof createEngineHost>>;
