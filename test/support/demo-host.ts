import { expose, proxy, wrap, type Remote } from 'comlink';
import { emojiMini } from '#library/packs/emoji-mini.ts';
import type {
  EngineHost,
  GalleryItem,
  HostEvent,
  HostInfo,
  SamplingSummary,
  StorageInfo,
} from '#protocol/engine-host.ts';
import { carryErrorCodes } from '#protocol/error-transfer.ts';
import { AppError, toAppError } from '#protocol/error.ts';
import type {
  Job,
  JobId,
  JobOrigin,
  JobProgress,
  JobRecord,
  GenerateJob,
  GeneratedImage,
  UpscaleJob,
} from '#protocol/job.ts';
import type { CatalogueEntry, ImportChoice, ImportOffer, ImportSource } from '#protocol/import.ts';
import {
  packHash,
  sumBytes,
  type AddOnInfo,
  type AddOnKind,
  type AddOnPack,
  type AnyPack,
  type ModelId,
  type ModelInfo,
  type ModelPack,
  type ModelState,
} from '#protocol/model.ts';
import type { SamplerChoice } from '#protocol/sampler.ts';
import type { Settings, SettingValue } from '#protocol/settings.ts';
import { PROTOCOL } from '#protocol/version.ts';

export interface DemoHostOptions {
  /** Whether the model is there from the start. */
  installed?: boolean;
  /** Time for one sampling step. */
  stepMs?: number;
  /** Time for a tenth of a download. */
  downloadMs?: number;
  /** What is installed besides the built-in model. */
  packs?: readonly AnyPack[];
  catalogue?: readonly CatalogueEntry[];
}

/** A model of Stable Diffusion's size, as an import would describe it. */
export const demoModel: ModelPack = {
  id: 'watercolours-v2',
  title: 'watercolours-v2',
  description: 'Stable Diffusion 1 checkpoint, float16, 1.1 billion parameters',
  kind: 'model',
  family: 'sd1',
  weights: 'safetensors',
  url: null,
  files: [{ path: 'checkpoint.safetensors', sizeBytes: 2_132_650_000, sha256: '6ce0161689'.padEnd(64, '0') }],
  licence: { name: 'unknown' },
  credits: 'From your disk.',
  importedFrom: null,
  trainedSizes: [
    [512, 512],
    [512, 768],
    [768, 512],
  ],
  latent: { channels: 4, downscale: 8, sizeMultiple: 64, scalingFactor: 0.18215 },
  defaults: {
    width: 512,
    height: 768,
    steps: 25,
    guidanceScale: 7.5,
    sampler: 'euler',
    schedule: 'karras',
  },
};

/** An add-on for {@link demoModel}. */
export function demoAddOn(kind: AddOnKind, id: string): AddOnPack {
  return {
    id,
    title: id,
    description: '',
    kind,
    family: kind === 'upscaler' ? null : 'sd1',
    url: null,
    files: [{ path: `${kind}.safetensors`, sizeBytes: 37_800_000, sha256: 'c0ffee1234'.padEnd(64, '0') }],
    licence: { name: 'unknown' },
    credits: 'From your disk.',
    importedFrom: null,
  };
}

/** Something for the catalogue, as the library tells it. */
export const demoEntries: readonly CatalogueEntry[] = [
  {
    id: 'sd-example',
    title: 'Example Diffusion 1.5',
    goodFor: 'The base that most LoRAs and embeddings are made for.',
    kind: 'model',
    family: 'sd1',
    url: 'https://huggingface.co/example/diffusion/resolve/main/example.safetensors',
    sizeBytes: 4_265_146_304,
    memoryBytes: 3_500_000_000,
    licence: {
      name: 'CreativeML OpenRAIL-M',
      url: 'https://huggingface.co/spaces/CompVis/stable-diffusion-license',
    },
    credits: 'Example Labs',
    needsFloat16: false,
  },
  {
    id: 'turbo-example',
    title: 'Example Turbo',
    goodFor: 'A finished in one to four steps.',
    kind: 'model',
    family: 'sd2',
    url: 'https://huggingface.co/example/turbo',
    sizeBytes: 2_500_000_000,
    memoryBytes: null,
    licence: { name: 'Research licence', url: 'https://huggingface.co/example/turbo', nonCommercial: true },
    credits: 'Example Labs',
    needsFloat16: true,
  },
];

/**
 * An engine's host for the app's own tests: it keeps the protocol and paints coloured gradients instead of
 * running a model. The finished depends on seed, prompt and size.
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
  #persisted = false;
  #working = false;
  #selected: ModelId = emojiMini.id;
  readonly #catalogue: readonly CatalogueEntry[];
  readonly #packs = new Map<ModelId, { pack: AnyPack; state: ModelState }>();
  readonly #installs = new Map<ModelId, { done: Promise<void>; stop: AbortController }>();

  constructor(options: DemoHostOptions = {}) {
    this.#stepMs = options.stepMs ?? 40;
    this.#downloadMs = options.downloadMs ?? 60;
    this.#catalogue = options.catalogue ?? [];
    const here: ModelState = { stage: 'installed', installedAt: Date.now() };
    this.#packs.set(emojiMini.id, {
      pack: emojiMini,
      state: options.installed === false ? { stage: 'absent' } : here,
    });
    for (const pack of options.packs ?? []) this.#packs.set(pack.id, { pack, state: here });
  }

  hello(): HostInfo {
    return {
      protocol: PROTOCOL,
      hostId: 'demo',
      backend: { provider: 'wasm', build: 'wasm', description: 'demonstration', float16: false },
    };
  }

  submit(id: JobId, job: Job, origin: JobOrigin): Promise<JobId> {
    if (job.task !== 'upscale' && !this.#isInstalled(job.model) && !this.#installs.has(job.model)) {
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

  answered(): Promise<void> {
    return Promise.resolve();
  }

  jobIds(client: string): Promise<JobId[]> {
    const own = [...this.#jobs.values()].filter(({ origin }) => origin.client === client);
    return Promise.resolve(own.map(({ id }) => id));
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
    return Promise.resolve(this.#models());
  }

  addOns(): Promise<AddOnInfo[]> {
    return Promise.resolve(this.#addOns());
  }

  catalogue(): Promise<CatalogueEntry[]> {
    return Promise.resolve([...this.#catalogue]);
  }

  async inspectImport(source: ImportSource): Promise<ImportOffer> {
    await pause(this.#downloadMs);
    return offerOf(source);
  }

  async importModel(source: ImportSource, choice: ImportChoice): Promise<ModelId> {
    const { id, title, kind, licence, options, problem } = offerOf(source);
    if (problem !== null || kind === 'unknown') throw new AppError('unsupported_feature', problem ?? '');
    const sizeBytes = options.find(({ storage }) => storage === choice.storage)?.sizeBytes ?? 0;
    const importedFrom = source.from === 'url' ? source.url : null;
    const pack = kind === 'model' ? demoModel : demoAddOn(kind, id);
    const files = pack.files.map((file) => ({ ...file, sizeBytes }));
    this.#setState(
      { ...pack, id, title, importedFrom, licence, files },
      this.#packs.get(id)?.state ?? { stage: 'absent' },
    );
    await this.installModel(id);
    return id;
  }

  installModel(id: ModelId): Promise<void> {
    const running = this.#installs.get(id);
    if (running) return running.done;
    const stop = new AbortController();
    const done = this.#download(id, stop.signal).finally(() => this.#installs.delete(id));
    this.#installs.set(id, { done, stop });
    return done;
  }

  cancelInstall(id: ModelId): Promise<void> {
    this.#installs.get(id)?.stop.abort();
    for (const record of this.#jobs.values()) {
      const { finishedAt, job } = record;
      if (finishedAt !== null || job.task === 'upscale' || job.model !== id) continue;
      const error = new AppError('model_not_found', 'Its model did not arrive: the download was stopped.');
      this.#end({ ...record, stage: 'failed', error: error.toData() });
    }
    return Promise.resolve();
  }

  removeModel(id: ModelId): Promise<void> {
    const pack = this.#pack(id);
    if (id === emojiMini.id) this.#setState(pack, { stage: 'absent' });
    else this.#packs.delete(id);
    this.#tellPacks();
    return Promise.resolve();
  }

  selectModel(id: ModelId): Promise<void> {
    this.#selected = this.#pack(id).id;
    this.#tellPacks();
    return Promise.resolve();
  }

  /** A straight line in the logarithm of sigma. */
  samplingPlan(choice: SamplerChoice, steps: number, model: ModelId): Promise<SamplingSummary> {
    if (!this.#packs.has(model)) return Promise.reject(new AppError('model_not_found', 'No such model.'));
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
      const finished = result?.images[index];
      if (finished) this.#files.set(path, finished.blob);
    });
  }

  storage(): Promise<StorageInfo> {
    const images = this.#gallery.reduce((sum, item) => sum + item.blob.size, 0);
    const packs = [...this.#models(), ...this.#addOns()].filter(({ state }) => state.stage === 'installed');
    return Promise.resolve({
      usageBytes: packs.reduce((sum, { sizeBytes }) => sum + sizeBytes, images),
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

  #pack(id: ModelId): AnyPack {
    const known = this.#packs.get(id);
    if (!known) throw new AppError('model_not_found', 'No such model.');
    return known.pack;
  }

  #isInstalled(id: ModelId): boolean {
    return this.#packs.get(id)?.state.stage === 'installed';
  }

  #models(): ModelInfo[] {
    return [...this.#packs.values()].flatMap(({ pack, state }) =>
      pack.kind === 'model' ? [{ ...describe(pack), pack, state, selected: pack.id === this.#selected }] : [],
    );
  }

  #addOns(): AddOnInfo[] {
    return [...this.#packs.values()].flatMap(({ pack, state }) =>
      pack.kind === 'model' ? [] : [{ ...describe(pack), pack, state }],
    );
  }

  #tellPacks(): void {
    this.#tell({ type: 'models', models: this.#models() });
    this.#tell({ type: 'add-ons', addOns: this.#addOns() });
  }

  #setState(pack: AnyPack, state: ModelState): void {
    this.#packs.set(pack.id, { pack, state });
    this.#tellPacks();
  }

  async #download(id: ModelId, signal: AbortSignal): Promise<void> {
    const pack = this.#pack(id);
    const { sizeBytes: totalBytes } = describe(pack);
    const state = this.#packs.get(id)?.state;
    const done = state && 'receivedBytes' in state ? state.receivedBytes / totalBytes : 0;
    for (let tenth = Math.round(done * 10); tenth < 10; tenth++) {
      const receivedBytes = (tenth / 10) * totalBytes;
      if (signal.aborted) {
        this.#setState(pack, { stage: 'failed', message: 'Stopped.', receivedBytes, totalBytes });
        throw new AppError('cancelled', 'The download was stopped.');
      }
      this.#setState(pack, { stage: 'downloading', receivedBytes, totalBytes, bytesPerSecond: 4_000_000 });
      await pause(this.#downloadMs);
    }
    this.#setState(pack, { stage: 'installed', installedAt: Date.now() });
  }

  async #work(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    for (;;) {
      const next = [...this.#jobs.values()].find(({ stage }) => stage === 'queued');
      if (!next) break;
      try {
        await (next.job.task === 'upscale' ? this.#enlarge(next, next.job) : this.#paint(next, next.job));
      } catch (thrown) {
        this.#end({ ...next, stage: 'failed', error: toAppError(thrown).toData() });
      }
    }
    this.#working = false;
  }

  async #enlarge(queued: JobRecord, job: UpscaleJob): Promise<void> {
    const started: JobRecord = { ...queued, stage: 'running', startedAt: Date.now(), attempts: 1 };
    this.#record(started);
    const images: GeneratedImage[] = [];
    for (const [index, { image, known }] of job.sources.entries()) {
      const tiles = { image: index, images: job.sources.length, step: 1, steps: 2 };
      this.#record({
        ...started,
        progress: { phase: 'upscaling', fraction: 0.5, secondsLeft: 12, ...tiles },
      });
      await pause(20 * this.#stepMs);
      if (this.#isEnded(queued.id)) return;
      const source = await createImageBitmap(image);
      const factor = 'factor' in job.size ? job.size.factor : 1;
      const [width, height] = [source.width * factor, source.height * factor];
      const seed = known?.seed ?? 0n;
      const infotext = `${known?.infotext ?? ''}, Postprocess upscaler: ${job.upscaler}`;
      const finished: GeneratedImage = {
        ...{ index, width, height, seed, subseed: 0n, infotext },
        prompt: [known?.prompt ?? ''],
        negativePrompt: [],
        blob: await gradient(seed, width, height, 1),
      };
      images.push(finished);
      this.#keep(queued, finished, index);
    }
    this.#end({ ...started, stage: 'done', result: { images, interrupted: false, seconds: 1, notes: [] } });
  }

  async #paint(queued: JobRecord, job: GenerateJob): Promise<void> {
    const started: JobRecord = { ...queued, stage: 'running', startedAt: Date.now(), attempts: 1 };
    this.#record(started);
    const install = this.#installs.get(job.model);
    if (install) await install.done.catch(() => undefined);
    if (this.#isEnded(queued.id)) return;
    const images: GeneratedImage[] = [];
    for (const [index, spec] of job.images.entries()) {
      if (spec.prompt.join('').includes('failure'))
        throw new AppError('out_of_memory', 'There is not enough memory.');
      for (let step = 1; step <= job.steps; step++) {
        await pause(this.#stepMs);
        if (this.#isEnded(queued.id)) return;
        const fraction = (index + step / job.steps) / job.images.length;
        const progress: JobProgress = {
          phase: 'sampling',
          fraction,
          image: index,
          images: job.images.length,
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
      const finished: GeneratedImage = {
        ...spec,
        index,
        width,
        height,
        blob: await gradient(spec.seed, width, height, 1),
        infotext: `${spec.prompt.join('')}\nSteps: ${steps}, CFG scale: ${guidanceScale}, Seed: ${spec.seed}, Size: ${width}x${height}`,
      };
      images.push(finished);
      this.#keep(queued, finished, index);
    }
    const seconds = (Date.now() - (started.startedAt ?? 0)) / 1000;
    this.#end({ ...started, stage: 'done', result: { images, interrupted: false, seconds, notes: [] } });
  }

  #isEnded(id: JobId): boolean {
    return this.#jobs.get(id)?.finishedAt !== null;
  }

  #keep({ id, origin, job }: JobRecord, finished: GeneratedImage, index: number): void {
    this.#gallery.push({
      id: `${id}-${index}`,
      jobId: id,
      client: origin.client,
      createdAt: Date.now(),
      blob: finished.blob,
      width: finished.width,
      height: finished.height,
      seed: finished.seed.toString(),
      prompt: finished.prompt.join(' '),
      infotext: finished.infotext,
      job,
      index,
    });
    this.#tell({ type: 'gallery' });
  }
}

function describe(pack: AnyPack): { sizeBytes: number; sha256: string } {
  return { sizeBytes: sumBytes(pack.files), sha256: packHash(pack) };
}

/** Kinds told from the file's name, where a real library reads its header. */
function offerOf(source: ImportSource): ImportOffer {
  const path = source.from === 'url' ? new URL(source.url).pathname : (source.files[0]?.path ?? '');
  const name = path.split('/').at(-1) ?? '';
  const id = name.replace(/\.\w+$/, '');
  const kind =
    (['lora', 'vae', 'embedding', 'upscaler'] as const).find((word) => name.includes(word)) ?? 'model';
  const isPickle = name.endsWith('.ckpt');
  const exact = kind === 'model' ? 2_132_650_000 : 37_800_000;
  const options = [
    { storage: 'exact', sizeBytes: exact, memoryBytes: 1.5 * exact },
    { storage: 'int8', sizeBytes: 0.52 * exact, memoryBytes: 0.9 * exact },
    { storage: 'int4', sizeBytes: 0.33 * exact, memoryBytes: 0.7 * exact },
  ] as const;
  return {
    id,
    title: id,
    kind: isPickle ? 'unknown' : kind,
    family: isPickle ? null : 'sd1',
    format: isPickle ? 'unknown' : 'safetensors',
    summary: isPickle ? 'A pickle file.' : `Stable Diffusion 1 ${kind}, float16`,
    type: isPickle ? null : 'float16',
    parameters: isPickle ? null : exact / 2,
    files: [
      { path: name, sizeBytes: exact, sha256: source.from === 'url' ? 'ab12cd34ef'.padEnd(64, '0') : null },
    ],
    options: isPickle ? [] : kind === 'model' ? options : options.slice(0, 1),
    prediction: kind === 'model' && !isPickle ? { type: 'epsilon', certain: !name.includes('768') } : null,
    licence: source.from === 'url' ? { name: 'CreativeML OpenRAIL-M', url: source.url } : { name: 'unknown' },
    warnings: name.includes('inpaint')
      ? ['An inpainting model: it paints whole images too, though less well.']
      : [],
    problem: isPickle
      ? 'This is a pickle file: to read it is to run the code in it. Look for the .safetensors of the same model.'
      : null,
  };
}

/** The host behind a message port, as another tab's would be. */
export function connectDemoHost(host: DemoHost): Remote<EngineHost> {
  carryErrorCodes();
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
