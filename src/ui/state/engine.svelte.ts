import { proxy, type Remote } from 'comlink';
import { SvelteMap } from 'svelte/reactivity';
import type { BackendInfo, EngineHost, GalleryItem, HostEvent, StorageInfo } from '#protocol/engine-host.ts';
import { toAppError } from '#protocol/error.ts';
import type { Job, JobId, JobRecord } from '#protocol/job.ts';
import type { ModelId, ModelInfo } from '#protocol/model.ts';
import type { Settings, SettingValue } from '#protocol/settings.ts';
import type { Notices } from './notices.svelte.ts';

/** A job asked for before its model was there. */
export interface WaitingJob {
  id: JobId;
  job: Job;
}

/**
 * A live mirror of the engine's host, and the way to ask it for things. Whatever a request fails with is
 * shown as a notice, so that callers need not.
 */
export class Engine {
  readonly #notices: Notices;
  #host: Remote<EngineHost> | null = null;
  #models = $state.raw<ModelInfo[] | null>(null);
  #gallery = $state.raw<GalleryItem[]>([]);
  #settings = $state.raw<Settings>({});
  #backend = $state.raw<BackendInfo | null>(null);
  #storage = $state.raw<StorageInfo | null>(null);
  #preview = $state.raw<{ id: JobId; blob: Blob } | null>(null);
  #failure = $state.raw<JobRecord | null>(null);
  #waiting = $state.raw<readonly WaitingJob[]>([]);
  readonly #unfinished = new SvelteMap<JobId, JobRecord>();
  /** Asked for before there was a host. */
  #whenConnected: ((host: Remote<EngineHost>) => void)[] = [];

  readonly running = $derived(
    [...this.#unfinished.values()].find((record) => record.stage === 'running') ?? null,
  );
  readonly queue = $derived(
    [...this.#unfinished.values()]
      .filter((record) => record.stage === 'queued')
      .sort((a, b) => a.queuedAt - b.queuedAt),
  );
  readonly selectedModel = $derived(
    this.#models?.find((model) => model.selected) ?? this.#models?.[0] ?? null,
  );

  constructor(notices: Notices) {
    this.#notices = notices;
  }

  /** Null until the host has told. */
  get models(): readonly ModelInfo[] | null {
    return this.#models;
  }

  /** Newest first. */
  get gallery(): readonly GalleryItem[] {
    return this.#gallery;
  }

  get settings(): Settings {
    return this.#settings;
  }

  get backend(): BackendInfo | null {
    return this.#backend;
  }

  get storage(): StorageInfo | null {
    return this.#storage;
  }

  /** Jobs that start when their model has arrived. */
  get waiting(): readonly WaitingJob[] {
    return this.#waiting;
  }

  /** The newest preview of the running job. */
  get preview(): Blob | null {
    return this.#preview && this.#preview.id === this.running?.id ? this.#preview.blob : null;
  }

  /** The last job, until something else is painted, if it failed. */
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
      // Watching starts before the first reading, so that nothing falls between the two.
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
      const [info, models, settings, jobs] = await Promise.all([
        host.hello(),
        host.models(),
        host.settings(),
        host.jobs(),
      ]);
      this.#backend = info.backend;
      this.#settings = settings;
      this.#unfinished.clear();
      for (const record of jobs) if (!record.finishedAt) this.#unfinished.set(record.id, record);
      this.#setModels(models);
      const running = this.running;
      const blob = running && (await host.preview(running.id));
      if (running && blob && !this.preview) this.#preview = { id: running.id, blob };
    };
    start().catch((thrown: unknown) => this.#report(thrown));
    void this.#readGallery();
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
      return await request(await this.#connectedHost());
    } catch (thrown) {
      this.#report(thrown);
      return undefined;
    }
  }

  /** Queues a job. Where its model is not installed the download starts, and the job after it. */
  async paint(job: Job): Promise<void> {
    const id = crypto.randomUUID();
    this.#failure = null;
    const model = this.#models?.find((candidate) => candidate.pack.id === job.model);
    if (model?.state.stage === 'installed') return this.#submit({ id, job });
    this.#waiting = [...this.#waiting, { id, job }];
    await this.install(job.model);
  }

  /** Fetches a model; jobs that wait for it then start. */
  async install(model: ModelId): Promise<void> {
    await this.ask((host) => host.installModel(model));
    await this.readStorage();
  }

  /** Stops a download and forgets the jobs that waited for it. */
  async cancelInstall(model: ModelId): Promise<void> {
    this.#waiting = this.#waiting.filter(({ job }) => job.model !== model);
    await this.ask((host) => host.cancelInstall(model));
  }

  /** Takes a job out of the queue, or stops it. */
  async cancel(id: JobId): Promise<void> {
    if (this.#waiting.some((waiting) => waiting.id === id)) {
      this.#waiting = this.#waiting.filter((waiting) => waiting.id !== id);
      return;
    }
    await this.ask((host) => host.cancel(id));
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

  async #submit({ id, job }: WaitingJob): Promise<void> {
    await this.ask((host) => host.submit(id, job, { client: 'app', requestKey: null }));
  }

  #setModels(models: ModelInfo[]): void {
    this.#models = models;
    const isInstalled = ({ job }: WaitingJob) =>
      models.some(({ pack, state }) => pack.id === job.model && state.stage === 'installed');
    const ready = this.#waiting.filter(isInstalled);
    if (ready.length === 0) return;
    this.#waiting = this.#waiting.filter((waiting) => !isInstalled(waiting));
    for (const waiting of ready) void this.#submit(waiting);
  }

  #apply(event: HostEvent): void {
    switch (event.type) {
      case 'record':
        this.#applyRecord(event.record);
        return;
      case 'preview':
        this.#preview = { id: event.id, blob: event.blob };
        return;
      case 'removed':
        this.#unfinished.delete(event.id);
        return;
      case 'models':
        this.#setModels(event.models);
        return;
      case 'gallery':
        void this.#readGallery();
        void this.readStorage();
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
      if (record.stage === 'running' && this.#unfinished.get(record.id)?.stage !== 'running')
        this.#failure = null;
      this.#unfinished.set(record.id, record);
      return;
    }
    this.#unfinished.delete(record.id);
    if (this.#preview?.id === record.id) this.#preview = null;
    if (record.stage === 'failed') this.#failure = record;
    const notes = record.result?.notes ?? [];
    if (record.origin.client === 'app' && notes.length > 0) this.#notices.show(notes.join(' '));
  }

  async #readGallery(): Promise<void> {
    const items = await this.ask((host) => host.gallery());
    if (items) this.#gallery = items.sort((a, b) => b.createdAt - a.createdAt || b.index - a.index);
  }

  #report(thrown: unknown): void {
    const error = toAppError(thrown);
    if (error.code !== 'cancelled') this.#notices.show(error.message, { tone: 'error' });
  }
}
