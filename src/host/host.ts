import { proxy } from 'comlink';
import type { BackendInfo, EngineHost, HostEvent, StopWatching } from '#protocol/engine-host.ts';
import { speedSetting } from '#protocol/device-speed.ts';
import type { BackendChoice } from '#protocol/engine-worker.ts';
import { AppError, toAppError } from '#protocol/error.ts';
import { imageIdOf, type JobId, type JobRecord } from '#protocol/job.ts';
import { BIN_MS } from '#protocol/gallery.ts';
import type { ModelId } from '#protocol/model.ts';
import type { Settings } from '#protocol/settings.ts';
import { traced } from '#protocol/trace.ts';
import { PROTOCOL } from '#protocol/version.ts';
import type { ImageMarks } from '#storage/image-marks.ts';
import type { Images } from '#storage/images.ts';
import type { Jobs } from '#storage/jobs.ts';
import type { Keys } from '#storage/keys.ts';
import type { PublishedFiles } from '#storage/published-files.ts';
import type { SettingsStore } from '#storage/settings.ts';
import { checkAllowed, chooseBackends } from './backends/choose.ts';
import { createHordeBackend } from './backends/horde/backend.ts';
import { civitaiVersions, hordeOptions } from './backends/horde/facts.ts';
import { createLocalBackend } from './backends/local.ts';
import { createEngineProcess, type EngineThread } from './engine-process.ts';
import { createFinishedImages } from './finished-images.ts';
import { createJobQueue } from './job-queue.ts';
import type { LibraryCalls } from './library-process.ts';
import { createPacks } from './packs.ts';

/** Settings of the app itself; everything else under a dialect's own option names. */
const BACKEND_SETTING = 'app.backend';
const MODEL_SETTING = 'app.model';

/** Milliseconds between looks into the bin. */
const PURGE_EVERY_MS = 60 * 60 * 1000;

export interface HostParts {
  hostId: string;
  startEngineWorker: () => EngineThread;
  startHordeWorker: () => EngineThread;
  library: LibraryCalls;
  jobs: Jobs;
  images: Images;
  imageMarks: ImageMarks;
  files: PublishedFiles;
  settings: SettingsStore;
  keys: Keys;
  /** Whether anything of a model is stored. */
  hasModels: () => Promise<boolean>;
  /** A backend demanded by the page's address, over the setting. */
  forcedBackend: BackendChoice | null;
  /** Whether there may be a network. */
  isOnline: () => boolean;
  /** Called once for each job, when it has ended. */
  onJobEnded: (record: JobRecord) => void;
}

function toBackendChoice(value: unknown): BackendChoice {
  return value === 'webgpu' || value === 'wasm' ? value : 'auto';
}

/**
 * The tab's side of the protocol: queue, models, settings, gallery. Everything that must survive the tab is
 * in storage; what is kept here can be lost.
 */
export async function createEngineHost(parts: HostParts) {
  const { hostId, library, jobs, files } = parts;
  const watchers = new Set<(event: HostEvent) => void>();
  let settings: Settings = await traced('read the settings', () => parts.settings.all());
  let backend: BackendInfo | null = null;

  function emit(event: HostEvent): void {
    for (const watcher of watchers) watcher(event);
  }

  const backendChoice = () => parts.forcedBackend ?? toBackendChoice(settings[BACKEND_SETTING]);
  const engine = createEngineProcess(parts.startEngineWorker, backendChoice, (chosen) => {
    backend = chosen;
    emit({ type: 'backend', backend: chosen });
  });
  // Beside the list of packs. Where no model is stored, nothing is fetched before it is wanted.
  if (await parts.hasModels()) engine.prepare();
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
    const title = packs.find(id)?.title ?? id;
    return new AppError(
      'download_failed',
      `The download of ${title} was stopped. Start it again in Models.`,
      {
        cause,
      },
    );
  }

  const horde = createHordeBackend(parts.startHordeWorker, {
    // Being offline passes: a job in line waits for the network.
    checkAllowed: () => checkAllowed('horde', settings, true),
    options: () => hordeOptions(settings),
    civitaiVersions: () => civitaiVersions(packs.addOns().map(({ pack }) => pack)),
  });
  const backends = { local: createLocalBackend({ packs, bring, engine }), horde };
  const images = createFinishedImages(parts.images, parts.imageMarks, emit);
  const queue = createJobQueue(
    jobs,
    images,
    {
      backends,
      choose: (job, runsOn) => chooseBackends(job, runsOn, backends, { settings, online: parts.isOnline() }),
      ended: parts.onJobEnded,
    },
    emit,
  );

  async function forgetFiles(gone: readonly JobId[]): Promise<void> {
    for (const id of gone) await files.removeJob(id);
  }

  /** Deletes for good what has been in the bin for its time. */
  async function purgeBin(): Promise<void> {
    await forgetFiles(await queue.emptyBin(Date.now() - BIN_MS));
  }
  const purge = () => void purgeBin().catch(() => undefined);
  purge();
  setInterval(purge, PURGE_EVERY_MS);

  /** The host as one client sees it; `gone` resolves when that client can no longer be answered. */
  function serve(gone: Promise<unknown>): EngineHost {
    return {
      hello: () => ({ protocol: PROTOCOL, hostId, backend }),

      submit: (id, job, origin) => queue.submit(id, job, origin),
      wait: (id) => queue.wait(id),
      answered: (id) => queue.answered(id),
      begun: (request) => queue.begun(request),
      job: (id) => queue.find(id),
      jobs: () => queue.all(),
      jobIds: (client) => queue.idsOf(client),
      unfinishedJobs: () => queue.unfinished(),
      preview: (id) => Promise.resolve(queue.preview(id)),
      cancel: (id) => queue.cancel(id),
      async skip(id) {
        if (queue.runningOn(id) === 'local') await engine.skip();
      },
      async removeJob(id) {
        const removed = await queue.remove(id);
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
        if (!packs.isInstalled(id)) await queue.refuseWaiting(id, downloadStopped(id));
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
      hordeModels: () => horde.models(),
      hordeCost: (job) => horde.cost(job),
      setKey: (service, key) => parts.keys.put(service, key),
      keys: () => parts.keys.services(),

      async measureSpeed() {
        const unfinished = await queue.unfinished();
        if (unfinished.some(({ id }) => queue.runningOn(id) === 'local')) {
          throw new AppError(
            'invalid_request',
            'The speed cannot be measured while a job runs. Wait until it is done, or stop it.',
          );
        }
        const speed = await engine.measureSpeed();
        if (backend) await update(speedSetting(backend, speed));
      },
      samplingPlan: (choice, steps, model) => engine.samplingPlan(packs.findModel(model), choice, steps),
      countTokens: (texts, model) =>
        packs.isInstalled(model)
          ? engine.countTokens(packs.findModel(model), packs.installed(), texts)
          : Promise.resolve(null),

      settings: () => Promise.resolve(settings),
      updateSettings: update,

      images: (id) => images.ofJob(id),
      async gallery(limit, after, query) {
        await queue.ready;
        return images.page(limit, after, query);
      },
      async galleryIds(query) {
        await queue.ready;
        return images.ids(query);
      },
      async galleryPrompts() {
        await queue.ready;
        return images.prompts();
      },
      async galleryModels() {
        await queue.ready;
        return images.models();
      },
      async galleryItem(id) {
        await queue.ready;
        return images.findForGallery(id);
      },
      setFavourite: (id, favourite) => images.setFavourite(id, favourite),
      deleteImages: async (ids) => forgetFiles(await queue.deleteImages(ids)),
      restoreImages: (ids) => queue.restoreImages(ids),
      emptyBin: async (ids) => forgetFiles(await queue.emptyBin(Infinity, ids)),

      async file(path) {
        const published = await files.find(path);
        if (!published || 'blob' in published) return published?.blob;
        return (await images.find(imageIdOf(published.jobId, published.index)))?.blob;
      },
      async publishFiles(id, paths, until) {
        const shared = { jobId: id, ...(until !== undefined && { until }) };
        await Promise.all(paths.map((path, index) => files.publish({ path, index, ...shared })));
      },
      keepFile: (path, blob, until) => files.keep({ path, blob, until }),

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
