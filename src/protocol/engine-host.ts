import type { GalleryPrompt, GalleryQuery } from './gallery.ts';
import type {
  GalleryImage,
  ImageId,
  Job,
  JobEvent,
  JobId,
  JobOrigin,
  JobRecord,
  Preview,
  StoredImage,
} from './job.ts';
import type { HordeCost, HordeModel } from './horde-worker.ts';
import type { CatalogueEntry, ImportChoice, ImportOffer, ImportSource } from './import.ts';
import type { AddOnInfo, ModelId, ModelInfo } from './model.ts';
import type { SamplerChoice } from './sampler.ts';
import type { Settings, SettingValue } from './settings.ts';

/** What runs the images, as far as clients need to know. */
export interface HostInfo {
  protocol: number;
  /** Unique for the life of one hosting tab; it holds the Web Lock {@link hostLockName} of this name. */
  hostId: string;
  backend: BackendInfo | null;
}

/** The execution provider in use. Null in {@link HostInfo} until the engine has started. */
export interface BackendInfo {
  provider: 'webgpu' | 'wasm';
  /** ONNX Runtime's build. */
  build: 'jspi' | 'webgpu' | 'wasm';
  /** Adapter name, or why the CPU is used. */
  description: string;
  float16: boolean;
}

/** Storage of this origin. */
export interface StorageInfo {
  usageBytes: number;
  quotaBytes: number;
  persisted: boolean;
}

/** A part of the gallery. */
export interface GalleryPage {
  items: GalleryImage[];
  /** Handed back for the page after this one; null when there is none. */
  next: string | null;
  /** All images that are meant, on this page or not. */
  total: number;
}

/** What a sampler will do, known before it runs. */
export interface SamplingSummary {
  /** Noise level at each step, from the highest down; the last is where the run ends, mostly 0. */
  sigmas: number[];
  /** The timestep given to the network at each of its evaluations. */
  timesteps: number[];
  /** Runs of the network for one image, guidance counted once. */
  evaluations: number;
  /** Whether it adds no noise of its own. */
  deterministic: boolean;
}

/** How long a text is for the text encoder, which reads 75 tokens at a time. */
export interface TokenCount {
  tokens: number;
  /** The tokens that are read: whole chunks, at least one. */
  length: number;
}

/** The texts of an image. */
export interface PromptTexts {
  prompt: string;
  negativePrompt: string;
}

/** Stops a watch. */
export type StopWatching = () => void;

export type HostEvent =
  | JobEvent
  | { type: 'models'; models: ModelInfo[] }
  | { type: 'add-ons'; addOns: AddOnInfo[] }
  /**
   * Images came or went, also into the bin and out of it; those that came are listed newest first. Both lists are empty
   * where only the bin has changed.
   */
  | { type: 'gallery'; added: GalleryImage[]; removed: ImageId[] }
  | { type: 'favourite'; id: ImageId; favourite: boolean }
  | { type: 'settings'; settings: Settings }
  | { type: 'backend'; backend: BackendInfo };

/**
 * What the app's panels and the API may ask of the tab that hosts the engine. Arguments and results are
 * plain cloneable data; callbacks are separate arguments, passed through comlink's `proxy()`.
 */
export interface EngineHost {
  hello(): HostInfo | Promise<HostInfo>;

  /**
   * Queues a job and answers once it is stored. A job with the id of a known one is not queued again; nor is one whose
   * `origin` says that it is the request of another, not yet {@link answered}, started again. The id of the job that
   * will answer is returned.
   * @throws AppError `model_not_found` for a pack of any kind that the job requires and that is neither installed nor
   *   on its way, `queue_full`, `unsupported_feature` also for what a service cannot do or may not be asked, `remote_failed`
   *   without a network, `storage_full`
   */
  submit(id: JobId, job: Job, origin: JobOrigin): Promise<JobId>;
  /** Resolves when the job has ended, in any stage. @throws AppError `not_found` */
  wait(id: JobId): Promise<JobRecord>;
  /** The request that asked for a job has its answer: the next one like it asks for another job. */
  answered(id: JobId): Promise<void>;
  /**
   * Where a job of this request came from that an earlier run of the service worker began and did not answer: the request has been
   * sent again. Undefined for a request of its own.
   */
  begun(request: Pick<JobOrigin, 'requestKey' | 'session'>): Promise<JobOrigin | undefined>;
  job(id: JobId): Promise<JobRecord | undefined>;
  /** All stored jobs, oldest first. */
  jobs(): Promise<JobRecord[]>;
  /** The ids of all jobs of a client, oldest first; answered without reading storage. */
  jobIds(client: string): Promise<JobId[]>;
  /** The running job and those that wait, oldest first; answered without reading storage. */
  unfinishedJobs(): Promise<JobRecord[]>;
  /** The newest preview of a running job. */
  preview(id: JobId): Promise<Preview | undefined>;
  /** Ends a job before its next step; a running one keeps the images it has made. */
  cancel(id: JobId): Promise<void>;
  /** Ends the current batch of the running job and continues with the next. */
  skip(id: JobId): Promise<void>;
  /** Deletes an ended job and its images. */
  removeJob(id: JobId): Promise<boolean>;
  watch(listener: (event: HostEvent) => void): StopWatching | Promise<StopWatching>;

  models(): Promise<ModelInfo[]>;
  /** Add-ons: LoRAs, embeddings, VAEs … They are installed and removed like models. */
  addOns(): Promise<AddOnInfo[]>;
  /** Well-known models to import by their `url`. */
  catalogue(): Promise<CatalogueEntry[]>;
  /** Recognises what something is before anything is stored. @throws AppError `invalid_request`, `download_failed`, `integrity_failed` */
  inspectImport(source: ImportSource): Promise<ImportOffer>;
  /**
   * Brings it here; resolves when it is installed. Progress comes through `watch`, under the id of the offer.
   * @throws AppError as {@link installModel}, and `unsupported_feature` with the offer's problem
   */
  importModel(source: ImportSource, choice: ImportChoice): Promise<ModelId>;
  /** Downloads and verifies a model; resolves when it is installed. Progress comes through `watch`. */
  installModel(id: ModelId): Promise<void>;
  /** Stops a download; what has arrived is kept for resuming. */
  cancelInstall(id: ModelId): Promise<void>;
  removeModel(id: ModelId): Promise<void>;
  selectModel(id: ModelId): Promise<void>;

  /**
   * Measures in at most ten seconds how fast this device generates, and keeps it as a setting: `device-speed.ts`.
   * @throws AppError `invalid_request` while a job runs on this device
   */
  measureSpeed(): Promise<void>;

  /** Plans a run without running it. @throws AppError `invalid_request`, `model_not_found`, `unsupported_feature` */
  samplingPlan(choice: SamplerChoice, steps: number, model: ModelId): Promise<SamplingSummary>;

  /**
   * Counts the tokens of prompts in A1111's syntax as the model's tokenizer cuts them, embeddings by their vectors. The
   * engine is not started for it: null while it is not running.
   * @throws AppError `model_not_found`, `invalid_request` for prompts that are none
   */
  countTokens(
    texts: PromptTexts,
    model: ModelId,
  ): Promise<Readonly<Record<keyof PromptTexts, TokenCount>> | null>;

  /** The models that workers of the AI Horde offer now. @throws AppError `remote_failed` */
  hordeModels(): Promise<HordeModel[]>;
  /** What a job would cost at the AI Horde; neither its prompts nor its images are sent. @throws AppError as {@link submit} */
  hordeCost(job: Job): Promise<HordeCost>;
  /** Keeps the user's key for a service; an empty one deletes it. Keys can be replaced, not read. */
  setKey(service: string, key: string): Promise<void>;
  /** The services that have a key. */
  keys(): Promise<string[]>;

  settings(): Promise<Settings>;
  updateSettings(changes: Readonly<Record<string, SettingValue>>): Promise<Settings>;

  /** The finished images of a job with their files, in order; none of a job that is not known. */
  images(id: JobId): Promise<StoredImage[]>;
  /**
   * @param after `next` of the page before; without it, the first images
   * @throws AppError `invalid_request` for an `after` that no page has returned
   */
  gallery(limit: number, after?: string, query?: GalleryQuery): Promise<GalleryPage>;
  /** The ids of all images that are meant, in order. */
  galleryIds(query: GalleryQuery): Promise<ImageId[]>;
  /** The prompts of all images that are not deleted, newest first, read without the images. */
  galleryPrompts(): Promise<GalleryPrompt[]>;
  /** The checkpoints that images in storage were generated with. */
  galleryModels(): Promise<ModelId[]>;
  /** One that is not deleted. */
  galleryItem(id: ImageId): Promise<GalleryImage | undefined>;
  setFavourite(id: ImageId, favourite: boolean): Promise<void>;
  /**
   * Moves images to the bin, where they can be restored for a day ({@link BIN_MS}). Everyone but {@link gallery} sees them
   * as gone, and so their job once all its images are. Without room for the bin, they are deleted for good.
   * @throws AppError `invalid_request` for an image of a job that waits or runs; nothing is deleted then
   */
  deleteImages(ids: readonly ImageId[]): Promise<void>;
  /** Takes images out of the bin. @returns those that were in it */
  restoreImages(ids: readonly ImageId[]): Promise<ImageId[]>;
  /** Deletes images in the bin for good; all of them unless some are named. */
  emptyBin(ids?: readonly ImageId[]): Promise<void>;

  /** A file by the path it is served under, such as `2026-01-31/name-0.png`. */
  file(path: string): Promise<Blob | undefined>;
  /**
   * Names a job's images for {@link file}: `paths[i]` leads to image i.
   * @param until epoch milliseconds after which the paths lead nowhere
   */
  publishFiles(id: JobId, paths: readonly string[], until?: number): Promise<void>;
  /**
   * Keeps a file for {@link file}.
   * @param until epoch milliseconds after which it is deleted
   */
  keepFile(path: string, file: Blob, until: number): Promise<void>;

  storage(): Promise<StorageInfo>;
  persistStorage(): Promise<boolean>;
}

/** Held by the tab that hosts the engine; the next tab in line takes over when it is released. */
export const ENGINE_LOCK = 'vitrine-engine-host';

/** Held by one hosting tab for its life, so that clients notice its end. */
export function hostLockName(hostId: string): string {
  return `vitrine-host:${hostId}`;
}
