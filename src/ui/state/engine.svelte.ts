import { proxy, type Remote } from 'comlink';
import { SvelteMap, SvelteSet } from 'svelte/reactivity';
import { awaitedBy, awaitedOf } from '#protocol/arrivals.ts';
import { readRunsOn, RUNS_ON_SETTING, type RunsOn } from '#protocol/backends.ts';
import type { BackendInfo, EngineHost, HostEvent, StorageInfo } from '#protocol/engine-host.ts';
import { toAppError } from '#protocol/error.ts';
import { matcherOf, type GalleryQuery } from '#protocol/gallery.ts';
import type { CatalogueEntry } from '#protocol/import.ts';
import {
  descriptionOf,
  PLAIN_UPSCALERS,
  type Job,
  type JobId,
  type JobRecord,
  type Preview,
  type UpscalerName,
} from '#protocol/job.ts';
import {
  isIncluded,
  usableAddOns,
  type AddOnInfo,
  type ModelId,
  type ModelInfo,
  type ModelPack,
} from '#protocol/model.ts';
import type { Settings, SettingValue } from '#protocol/settings.ts';
import { factsOf } from '#protocol/tasks.ts';
import { ImagePages } from './image-pages.svelte.ts';
import type { Notices } from './notices.svelte.ts';
import { fitsModel, isInstalled, type AnyPackInfo } from './packs.ts';
import { Paced } from './paced.ts';
import { Speeds } from './speeds.svelte.ts';
import { StyleImages } from './style-images.svelte.ts';

/**
 * A live mirror of the engine's host, and the way to ask it for things. Any error of a request is
 * shown as a notice, so that callers need not.
 */
export class Engine {
  readonly #notices: Notices;
  #host: Remote<EngineHost> | null = null;
  #models = $state.raw<readonly ModelInfo[] | null>(null);
  #addOns = $state.raw<readonly AddOnInfo[]>([]);
  #catalogue = $state.raw<readonly CatalogueEntry[]>([]);
  #settings = $state.raw<Settings>({});
  #backend = $state.raw<BackendInfo | null>(null);
  #storage = $state.raw<StorageInfo | null>(null);
  #preview = $state.raw<{ id: JobId; preview: Preview } | null>(null);
  #failure = $state.raw<JobRecord | null>(null);
  #description = $state.raw<{ job: JobId; text: string } | null>(null);
  readonly #unfinished = new SvelteMap<JobId, JobRecord>();
  /** Asked to stop, and not ended yet. */
  readonly #stopping = new SvelteSet<JobId>();
  readonly #progress = new Paced<JobRecord>((record) => {
    if (this.#unfinished.has(record.id)) this.#unfinished.set(record.id, record);
  });
  readonly #previews = new Paced<{ id: JobId; preview: Preview }>((newest) => (this.#preview = newest));
  /** All that are kept up to date. */
  #pages: readonly ImagePages[] = [];
  /** Asked for before there was a host. */
  #whenConnected: ((host: Remote<EngineHost>) => void)[] = [];
  #tellListed: () => void = () => undefined;

  /** Settled once it is known which models there are. */
  readonly listed = new Promise<void>((resolve) => (this.#tellListed = resolve));

  readonly running = $derived(
    [...this.#unfinished.values()].find((record) => record.stage === 'running') ?? null,
  );
  /** Those that run on another backend meanwhile. */
  readonly alongside = $derived(
    [...this.#unfinished.values()].filter(
      (record) => record.stage === 'running' && record.id !== this.running?.id,
    ),
  );
  readonly queue = $derived(
    [...this.#unfinished.values()]
      .filter((record) => record.stage === 'queued')
      .sort((a, b) => a.queuedAt - b.queuedAt),
  );
  readonly selectedModel = $derived(
    this.#models?.find((model) => model.selected) ?? this.#models?.[0] ?? null,
  );
  readonly installedModels = $derived((this.#models ?? []).filter(isInstalled));
  /** The add-ons that fit the selected model. */
  readonly fittingAddOns = $derived.by(() => {
    const pack = this.selectedModel?.pack;
    return pack ? this.addOnsFor(pack) : [];
  });

  /** The ControlNets that the selected model can run with. */
  readonly controlNets = $derived(
    this.selectedModel?.pack.weights === 'safetensors'
      ? this.fittingAddOns.filter(({ pack }) => pack.kind === 'controlnet')
      : [],
  );

  /** The IP-Adapters that the selected model can be shown images through. */
  readonly ipAdapters = $derived(
    this.selectedModel?.pack.weights === 'safetensors'
      ? this.fittingAddOns.filter(({ pack }) => pack.kind === 'ip-adapter')
      : [],
  );

  /** The installed networks that restore faces. */
  readonly faceRestorers = $derived(usableAddOns(this.#addOns, 'face-restorer'));

  /** The upscaling networks that are here, and those that come with the app. */
  readonly upscalers = $derived(usableAddOns(this.#addOns, 'upscaler'));

  /** What can describe images: imported caption models and taggers, and the describer that comes with the app. */
  readonly describers = $derived(
    [...usableAddOns(this.#addOns, 'captioner'), ...usableAddOns(this.#addOns, 'tagger')].sort(
      (a, b) => Number(isIncluded(a.pack)) - Number(isIncluded(b.pack)),
    ),
  );

  /** What images are upscaled with where nothing else is chosen. */
  readonly bestUpscaler: UpscalerName = $derived(this.upscalers[0]?.pack.id ?? 'Lanczos');

  /** How long images take on this device. */
  readonly speeds = new Speeds();

  /** The images that show what styles do. */
  readonly styleImages = new StyleImages();

  /** The finished images loaded so far, newest first. */
  readonly images = this.openPages({});

  constructor(notices: Notices) {
    this.#notices = notices;
  }

  /** Images that a query means, kept up to date until they are closed. Nothing is read before `restart`. */
  openPages(query: GalleryQuery): ImagePages {
    const pages = new ImagePages((limit, after) => this.ask((host) => host.gallery(limit, after, query)), {
      accepts: matcherOf(query),
      oldestFirst: query.oldestFirst ?? false,
      isBin: query.deleted ?? false,
    });
    this.#pages = [...this.#pages, pages];
    return pages;
  }

  closePages(pages: ImagePages): void {
    this.#pages = this.#pages.filter((open) => open !== pages);
  }

  /** Null until the host has answered. */
  get models(): readonly ModelInfo[] | null {
    return this.#models;
  }

  get addOns(): readonly AddOnInfo[] {
    return this.#addOns;
  }

  /** Well-known models that can be had. */
  get catalogue(): readonly CatalogueEntry[] {
    return this.#catalogue;
  }

  get settings(): Settings {
    return this.#settings;
  }

  /** Where images are generated. */
  get runsOn(): RunsOn {
    return readRunsOn(this.#settings[RUNS_ON_SETTING]) ?? 'local';
  }

  get backend(): BackendInfo | null {
    return this.#backend;
  }

  get storage(): StorageInfo | null {
    return this.#storage;
  }

  /** The newest preview of the running job. */
  get preview(): Preview | null {
    return this.#preview && this.#preview.id === this.running?.id ? this.#preview.preview : null;
  }

  /** The newest description of an image, and the job that made it. */
  get description(): { job: JobId; text: string } | null {
    return this.#description;
  }

  /** The last job, until something else is generated, if it failed. */
  get failure(): JobRecord | null {
    return this.#failure;
  }

  /** Mirrors `host` from now on. @returns what ends it */
  follow(host: Remote<EngineHost>): () => void {
    let ended = false;
    let stop: (() => void) | undefined;
    this.#host = host;
    for (const tell of this.#whenConnected.splice(0)) tell(host);
    const start = async (): Promise<void> => {
      // Watching starts before the first reading, so that no change is missed in between.
      const stopWatching = await host.watch(
        proxy((event: HostEvent) => {
          if (!ended) this.#apply(event);
        }),
      );
      stop = stopWatching;
      if (ended) {
        stop();
        return;
      }
      const known = this.#settings;
      const [info, models, addOns, catalogue, settings, jobs] = await Promise.all([
        host.hello(),
        host.models(),
        host.addOns(),
        host.catalogue(),
        host.settings(),
        host.unfinishedJobs(),
      ]);
      this.#backend = info.backend;
      // A change that was told meanwhile is newer than what was read.
      if (this.#settings === known) this.#settings = settings;
      this.#unfinished.clear();
      for (const record of jobs) this.#unfinished.set(record.id, record);
      this.#models = models;
      this.#addOns = addOns;
      this.#catalogue = catalogue;
      this.#tellListed();
      const running = this.running;
      const preview = running && (await host.preview(running.id));
      if (running && preview && !this.preview) this.#preview = { id: running.id, preview };
    };
    start().catch((thrown: unknown) => this.#report(thrown));
    void this.ask((host) => this.speeds.read(host));
    for (const pages of this.#pages) void pages.restart();
    this.styleImages.forget();
    void this.readStorage();
    return () => {
      ended = true;
      stop?.();
      if (this.#host === host) this.#host = null;
    };
  }

  /** Asks the host, as soon as there is one. A failure becomes a notice and undefined. */
  async ask<T>(request: (host: Remote<EngineHost>) => Promise<T>): Promise<T | undefined> {
    try {
      return await this.request(request);
    } catch (thrown) {
      this.#report(thrown);
      return undefined;
    }
  }

  /** Asks the host, as soon as there is one, for callers that word failures themselves. @throws AppError */
  async request<T>(request: (host: Remote<EngineHost>) => Promise<T>): Promise<T> {
    return request(await this.#connectedHost());
  }

  /** Queues a job; answers with its id, or undefined where it was refused. The downloads of packs that it requires and that are not installed start, and the job waits for them. */
  async submit(job: Job): Promise<JobId | undefined> {
    this.#failure = null;
    return this.ask(async (host) => {
      // Asked for before the job, so that the host knows they are coming. If one fails, the job says so.
      const awaited = this.runsOn === 'horde' && factsOf(job).generation(job) ? [] : this.awaitedBy(job);
      for (const { pack } of awaited) host.installModel(pack.id).catch(() => undefined);
      return host.submit(crypto.randomUUID(), job, { client: 'app', requestKey: null });
    });
  }

  /** The installed add-ons that fit a model. */
  addOnsFor(model: ModelPack): AddOnInfo[] {
    return this.#addOns.filter((addOn) => fitsModel(addOn, model));
  }

  /** Whether images can be upscaled with something: a plain upscaler, or a network that is here. */
  canUpscaleWith(name: string): boolean {
    return (
      PLAIN_UPSCALERS.some((plain) => plain === name) || this.upscalers.some(({ pack }) => pack.id === name)
    );
  }

  /** Whether a model is here. */
  hasModel(id: ModelId): boolean {
    return this.installedModels.some(({ pack }) => pack.id === id);
  }

  /** The packs that a job requires and that are known but not installed yet. */
  awaitedBy(job: Job): AnyPackInfo[] {
    return awaitedBy(job, [...(this.#models ?? []), ...this.#addOns]);
  }

  /** The packs that a job waits for. What can run elsewhere waits for none. */
  awaitedOf(record: JobRecord): AnyPackInfo[] {
    return awaitedOf(record, [...(this.#models ?? []), ...this.#addOns]);
  }

  async install(id: ModelId): Promise<void> {
    await this.ask((host) => host.installModel(id));
  }

  /** Stops a download or an import; the host ends the jobs that wait for it. */
  async cancelInstall(id: ModelId): Promise<void> {
    await this.ask((host) => host.cancelInstall(id));
  }

  async selectModel(id: ModelId): Promise<void> {
    await this.ask((host) => host.selectModel(id));
  }

  /** Takes a job out of the queue, or stops it. */
  async cancel(id: JobId): Promise<void> {
    this.#stopping.add(id);
    const asked = await this.ask((host) => host.cancel(id).then(() => true));
    if (!asked || !this.#unfinished.has(id)) this.#stopping.delete(id);
  }

  /** Whether a job has been asked to stop and has not ended yet. */
  isStopping(id: JobId): boolean {
    return this.#stopping.has(id);
  }

  /** Whether a job waits or runs. */
  isUnfinished(id: JobId): boolean {
    return this.#unfinished.has(id);
  }

  async updateSetting(name: string, value: SettingValue): Promise<void> {
    const settings = await this.ask((host) => host.updateSettings({ [name]: value }));
    if (settings) this.#settings = settings;
  }

  async readStorage(): Promise<void> {
    const storage = await this.ask((host) => host.storage());
    if (storage) this.#storage = storage;
  }

  dismissFailure(): void {
    this.#failure = null;
  }

  #connectedHost(): Promise<Remote<EngineHost>> {
    const host = this.#host;
    if (host) return Promise.resolve(host);
    return new Promise((resolve) => this.#whenConnected.push(resolve));
  }

  #apply(event: HostEvent): void {
    switch (event.type) {
      case 'record':
        this.#applyRecord(event.record);
        return;
      case 'preview':
        this.#previews.push({ id: event.id, preview: event.preview });
        return;
      case 'removed':
        this.#unfinished.delete(event.id);
        this.#stopping.delete(event.id);
        return;
      case 'models':
        if (countInstalled(event.models) !== countInstalled(this.#models ?? [])) void this.readStorage();
        this.#models = event.models;
        return;
      case 'add-ons':
        if (countInstalled(event.addOns) !== countInstalled(this.#addOns)) void this.readStorage();
        this.#addOns = event.addOns;
        return;
      case 'gallery':
        for (const pages of this.#pages) pages.apply(event);
        this.styleImages.apply(event);
        void this.readStorage();
        return;
      case 'favourite':
        for (const pages of this.#pages) pages.setFavourite(event.id, event.favourite);
        return;
      case 'settings':
        this.#settings = event.settings;
        return;
      case 'backend':
        this.#backend = event.backend;
        return;
    }
  }

  #applyRecord(record: JobRecord): void {
    if (record.stage === 'queued' || record.stage === 'running') {
      // Services are asked now and then; what a local engine tells is paced.
      const isPaced = (record.backend ?? 'local') === 'local';
      if (isPaced && record.stage === 'running' && this.#unfinished.get(record.id)?.stage === 'running') {
        this.#progress.push(record);
        return;
      }
      if (record.stage === 'running') this.#failure = null;
      this.#unfinished.set(record.id, record);
      return;
    }
    this.#unfinished.delete(record.id);
    this.#stopping.delete(record.id);
    this.speeds.take(record);
    if ((record.backend ?? 'local') === 'local') {
      this.#progress.drop();
      this.#previews.drop();
    }
    if (this.#preview?.id === record.id) this.#preview = null;
    if (record.stage === 'failed') this.#failure = record;
    const text = descriptionOf(record.result)?.text;
    if (record.origin.client !== 'app') return;
    // What there is to note of a description stands beside it.
    if (text !== undefined) this.#description = { job: record.id, text };
    const notes = record.result?.notes ?? [];
    if (text === undefined && notes.length > 0) this.#notices.show(notes.join(' '));
  }

  #report(thrown: unknown): void {
    const error = toAppError(thrown);
    if (error.code !== 'cancelled') this.#notices.show(error.message, { tone: 'error' });
  }
}

function countInstalled(infos: readonly AnyPackInfo[]): number {
  return infos.filter(isInstalled).length;
}
