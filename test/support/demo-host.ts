import { expose, proxy, wrap, type Remote } from 'comlink';
import type {
  EngineHost,
  GalleryItem,
  HostEvent,
  HostInfo,
  SamplingSummary,
  StorageInfo,
} from '#protocol/engine-host.ts';
import { AppError, toAppError } from '#protocol/error.ts';
import type { Job, JobId, JobOrigin, JobProgress, JobRecord, Picture } from '#protocol/job.ts';
import type { ModelId, ModelInfo, ModelPack, ModelState } from '#protocol/model.ts';
import type { SamplerChoice } from '#protocol/sampler.ts';
import type { Settings, SettingValue } from '#protocol/settings.ts';
import { PROTOCOL } from '#protocol/version.ts';

export interface DemoHostOptions {
  /** Whether the model is there from the start. */
  installed?: boolean;
  /** Time for one sampling step. */
  stepMs?: number;
  /** Time for a tenth of the model's download. */
  downloadMs?: number;
}

const pack: ModelPack = {
  id: 'emoji-mini',
  title: 'Emoji Mini',
  description:
    'Stickers and icons from a few words, in six styles. Trained for this project on open emoji art.',
  kind: 'model',
  family: 'emoji-mini',
  weights: 'onnx',
  url: 'models/emoji-mini/',
  files: [{ path: 'unet/model.onnx', sizeBytes: 39_300_000, sha256: '0e0af9dfe1'.padEnd(64, '0') }],
  licence: { name: 'MIT' },
  credits: 'Fluent Emoji by Microsoft (MIT), Noto Emoji by Google (Apache-2.0)',
  trainedSizes: [[256, 256]],
  latent: { channels: 16, downscale: 16, scalingFactor: 1, sizeMultiple: 16 },
  defaults: {
    width: 256,
    height: 256,
    steps: 20,
    guidanceScale: 4,
    sampler: 'dpmpp_2m',
    schedule: 'automatic',
  },
};

/**
 * An engine's host for the app's own tests: it keeps the protocol and paints coloured gradients instead of
 * running a model. The picture depends on seed, prompt and size.
 */
export class DemoHost implements EngineHost {
  readonly #stepMs: number;
  readonly #downloadMs: number;
  readonly #listeners = new Set<(event: HostEvent) => void>();
  readonly #jobs = new Map<JobId, JobRecord>();
  readonly #previews = new Map<JobId, Blob>();
  readonly #files = new Map<string, Blob>();
  readonly #ended = new Map<JobId, PromiseWithResolvers<JobRecord>>();
  #gallery: GalleryItem[] = [];
  #settings: Settings = {};
  #state: ModelState;
  #persisted = false;
  #working = false;
  #downloading: Promise<void> | null = null;
  #downloadStop = new AbortController();

  constructor(options: DemoHostOptions = {}) {
    this.#stepMs = options.stepMs ?? 40;
    this.#downloadMs = options.downloadMs ?? 60;
    this.#state =
      options.installed === false ? { stage: 'absent' } : { stage: 'installed', installedAt: Date.now() };
  }

  hello(): HostInfo {
    return {
      protocol: PROTOCOL,
      hostId: 'demo',
      backend: { provider: 'wasm', build: 'wasm', description: 'demonstration', float16: false },
    };
  }

  submit(id: JobId, job: Job, origin: JobOrigin): Promise<JobId> {
    if (this.#state.stage !== 'installed') {
      return Promise.reject(new AppError('model_not_found', 'The model is not installed.'));
    }
    this.#ended.set(id, Promise.withResolvers());
    this.#record({
      id,
      origin,
      job,
      stage: 'queued',
      queuedAt: Date.now(),
      startedAt: null,
      finishedAt: null,
      attempts: 0,
      progress: null,
      result: null,
      error: null,
    });
    void this.#work();
    return Promise.resolve(id);
  }

  wait(id: JobId): Promise<JobRecord> {
    return (
      this.#ended.get(id)?.promise ?? Promise.reject(new AppError('not_found', 'There is no job of this id.'))
    );
  }

  job(id: JobId): Promise<JobRecord | undefined> {
    return Promise.resolve(this.#jobs.get(id));
  }

  jobs(): Promise<JobRecord[]> {
    return Promise.resolve([...this.#jobs.values()]);
  }

  unfinishedJobs(): Promise<JobRecord[]> {
    return Promise.resolve([...this.#jobs.values()].filter(({ finishedAt }) => finishedAt === null));
  }

  preview(id: JobId): Promise<Blob | undefined> {
    return Promise.resolve(this.#previews.get(id));
  }

  cancel(id: JobId): Promise<void> {
    const record = this.#jobs.get(id);
    if (record && record.finishedAt === null) this.#end({ ...record, stage: 'cancelled' });
    return Promise.resolve();
  }

  skip(id: JobId): Promise<void> {
    return this.cancel(id);
  }

  removeJob(id: JobId): Promise<boolean> {
    this.#tell({ type: 'removed', id });
    return Promise.resolve(this.#jobs.delete(id));
  }

  watch(listener: (event: HostEvent) => void): () => void {
    this.#listeners.add(listener);
    return proxy(() => {
      this.#listeners.delete(listener);
    });
  }

  models(): Promise<ModelInfo[]> {
    return Promise.resolve([this.#model()]);
  }

  installModel(): Promise<void> {
    this.#downloading ??= this.#download().finally(() => (this.#downloading = null));
    return this.#downloading;
  }

  cancelInstall(): Promise<void> {
    this.#downloadStop.abort();
    return Promise.resolve();
  }

  removeModel(): Promise<void> {
    this.#setState({ stage: 'absent' });
    return Promise.resolve();
  }

  selectModel(): Promise<void> {
    return Promise.resolve();
  }

  /** A straight line in the logarithm of sigma. */
  samplingPlan(choice: SamplerChoice, steps: number, model: ModelId): Promise<SamplingSummary> {
    if (model !== pack.id) return Promise.reject(new AppError('model_not_found', 'No such model.'));
    const sampler = choice.family === 'k-diffusion' ? choice.sampler : choice.scheduler;
    const [highest, lowest] = [14.6, 0.03];
    const sigmas = Array.from(
      { length: steps },
      (_, i) => highest * (lowest / highest) ** (i / Math.max(steps - 1, 1)),
    );
    return Promise.resolve({
      sigmas: [...sigmas, 0],
      timesteps: sigmas.map((_, i) => Math.round(999 * (1 - i / steps))),
      evaluations: sampler === 'heun' ? 2 * steps - 1 : steps,
      deterministic: !/ancestral|sde|lcm/.test(sampler),
    });
  }

  settings(): Promise<Settings> {
    return Promise.resolve(this.#settings);
  }

  updateSettings(changes: Readonly<Record<string, SettingValue>>): Promise<Settings> {
    this.#settings = { ...this.#settings, ...changes };
    this.#tell({ type: 'settings', settings: this.#settings });
    return Promise.resolve(this.#settings);
  }

  gallery(): Promise<GalleryItem[]> {
    return Promise.resolve(this.#gallery);
  }

  galleryItem(id: string): Promise<GalleryItem | undefined> {
    return Promise.resolve(this.#gallery.find((item) => item.id === id));
  }

  removeGalleryItem(id: string): Promise<void> {
    this.#gallery = this.#gallery.filter((item) => item.id !== id);
    this.#tell({ type: 'gallery' });
    return Promise.resolve();
  }

  file(path: string): Promise<Blob | undefined> {
    return Promise.resolve(this.#files.get(path));
  }

  async publishFiles(id: JobId, paths: readonly string[]): Promise<void> {
    const { result } = await this.wait(id);
    paths.forEach((path, index) => {
      const picture = result?.pictures[index];
      if (picture) this.#files.set(path, picture.blob);
    });
  }

  storage(): Promise<StorageInfo> {
    const pictures = this.#gallery.reduce((sum, item) => sum + item.blob.size, 0);
    const model = this.#state.stage === 'installed' ? this.#model().sizeBytes : 0;
    return Promise.resolve({
      usageBytes: pictures + model,
      quotaBytes: 12_000_000_000,
      persisted: this.#persisted,
    });
  }

  persistStorage(): Promise<boolean> {
    this.#persisted = true;
    return Promise.resolve(true);
  }

  #tell(event: HostEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  #record(record: JobRecord): void {
    this.#jobs.set(record.id, record);
    this.#tell({ type: 'record', record });
  }

  #end(record: JobRecord): void {
    const ended = { ...record, finishedAt: Date.now() };
    this.#record(ended);
    this.#ended.get(record.id)?.resolve(ended);
  }

  #model(): ModelInfo {
    const sizeBytes = pack.files.reduce((sum, file) => sum + file.sizeBytes, 0);
    return { pack, sizeBytes, sha256: pack.files[0]?.sha256 ?? '', state: this.#state, selected: true };
  }

  #setState(state: ModelState): void {
    this.#state = state;
    this.#tell({ type: 'models', models: [this.#model()] });
  }

  async #download(): Promise<void> {
    this.#downloadStop = new AbortController();
    const { signal } = this.#downloadStop;
    const { sizeBytes: totalBytes } = this.#model();
    const done = 'receivedBytes' in this.#state ? this.#state.receivedBytes / totalBytes : 0;
    for (let tenth = Math.round(done * 10); tenth < 10; tenth++) {
      const receivedBytes = (tenth / 10) * totalBytes;
      if (signal.aborted) {
        this.#setState({ stage: 'failed', message: 'Stopped.', receivedBytes, totalBytes });
        throw new AppError('cancelled', 'The download was stopped.');
      }
      this.#setState({ stage: 'downloading', receivedBytes, totalBytes, bytesPerSecond: 4_000_000 });
      await pause(this.#downloadMs);
    }
    this.#setState({ stage: 'installed', installedAt: Date.now() });
  }

  async #work(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    for (;;) {
      const next = [...this.#jobs.values()].find(({ stage }) => stage === 'queued');
      if (!next) break;
      try {
        await this.#paint(next);
      } catch (thrown) {
        this.#end({ ...next, stage: 'failed', error: toAppError(thrown).toData() });
      }
    }
    this.#working = false;
  }

  async #paint(queued: JobRecord): Promise<void> {
    const { job } = queued;
    const started: JobRecord = { ...queued, stage: 'running', startedAt: Date.now(), attempts: 1 };
    this.#record(started);
    const pictures: Picture[] = [];
    for (const [index, spec] of job.pictures.entries()) {
      if (spec.prompt.join('').includes('failure'))
        throw new AppError('out_of_memory', 'There is not enough memory.');
      for (let step = 1; step <= job.steps; step++) {
        await pause(this.#stepMs);
        if (this.#isCancelled(queued.id)) return;
        const fraction = (index + step / job.steps) / job.pictures.length;
        const progress: JobProgress = {
          phase: 'sampling',
          fraction,
          picture: index,
          pictures: job.pictures.length,
          step,
          steps: job.steps,
          secondsLeft: ((job.steps - step) * this.#stepMs) / 1000,
        };
        this.#record({ ...started, progress });
        if (step % 5 === 0) {
          const blob = await gradient(spec.seed, job.width, job.height, step / job.steps);
          this.#previews.set(queued.id, blob);
          this.#tell({ type: 'preview', id: queued.id, blob });
        }
      }
      const { width, height, steps, guidanceScale } = job;
      const picture: Picture = {
        ...spec,
        index,
        width,
        height,
        blob: await gradient(spec.seed, width, height, 1),
        infotext: `${spec.prompt.join('')}\nSteps: ${steps}, CFG scale: ${guidanceScale}, Seed: ${spec.seed}, Size: ${width}x${height}`,
      };
      pictures.push(picture);
      this.#keep(queued, picture, index);
    }
    const seconds = (Date.now() - (started.startedAt ?? 0)) / 1000;
    this.#end({ ...started, stage: 'done', result: { pictures, interrupted: false, seconds, notes: [] } });
  }

  #isCancelled(id: JobId): boolean {
    return this.#jobs.get(id)?.stage === 'cancelled';
  }

  #keep({ id, origin, job }: JobRecord, picture: Picture, index: number): void {
    this.#gallery.push({
      id: `${id}-${index}`,
      jobId: id,
      client: origin.client,
      createdAt: Date.now(),
      blob: picture.blob,
      width: picture.width,
      height: picture.height,
      seed: picture.seed.toString(),
      infotext: picture.infotext,
      job,
      index,
    });
    this.#tell({ type: 'gallery' });
  }
}

/** The host behind a message port, as another tab's would be. */
export function connectDemoHost(host: DemoHost): Remote<EngineHost> {
  const { port1, port2 } = new MessageChannel();
  expose(host, port1);
  return wrap<EngineHost>(port2);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A disc on a field in colours of the seed; the less finished, the more it is blurred. */
async function gradient(seed: bigint, width: number, height: number, finished: number): Promise<Blob> {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  if (!context) throw new AppError('internal', 'There is no 2D canvas here.');
  const hue = Number((seed * 47n) % 360n);
  context.fillStyle = 'white';
  context.fillRect(0, 0, width, height);
  context.filter = `blur(${Math.round((1 - finished) * 40)}px)`;
  const radius = Math.min(width, height) * 0.36;
  const fill = context.createRadialGradient(
    width * 0.42,
    height * 0.38,
    radius * 0.1,
    width / 2,
    height / 2,
    radius,
  );
  fill.addColorStop(0, `hsl(${hue} 90% 78%)`);
  fill.addColorStop(1, `hsl(${(hue + 30) % 360} 70% 42%)`);
  context.fillStyle = fill;
  context.beginPath();
  context.arc(width / 2, height / 2, radius, 0, 2 * Math.PI);
  context.fill();
  return canvas.convertToBlob({ type: 'image/png' });
}
