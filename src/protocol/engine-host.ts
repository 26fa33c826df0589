import type { ImageId, Job, JobEvent, JobId, JobOrigin, JobRecord, StoredImage } from './job.ts';
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

/** A part of the gallery, newest first. */
export interface GalleryPage {
  items: StoredImage[];
  /** Handed back for the page after this one; null when there is none. */
  next: string | null;
  /** Images in the whole gallery. */
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

/** Stops a watch. */
export type StopWatching = () => void;

export type HostEvent =
  | JobEvent
  | { type: 'models'; models: ModelInfo[] }
  | { type: 'add-ons'; addOns: AddOnInfo[] }
  /** Images came or went; those that came are listed newest first. */
  | { type: 'gallery'; added: StoredImage[]; removed: ImageId[] }
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
   *   on its way, `queue_full`, `unsupported_feature`, `storage_full`
   */
  submit(id: JobId, job: Job, origin: JobOrigin): Promise<JobId>;
  /** Resolves when the job has ended, in any stage. @throws AppError `not_found` */
  wait(id: JobId): Promise<JobRecord>;
  /** The request that asked for a job has its answer: the next one like it asks for another job. */
  answered(id: JobId): Promise<void>;
  job(id: JobId): Promise<JobRecord | undefined>;
  /** All stored jobs, oldest first. */
  jobs(): Promise<JobRecord[]>;
  /** The ids of all jobs of a client, oldest first; answered without reading storage. */
  jobIds(client: string): Promise<JobId[]>;
  /** The running job and those that wait, oldest first; answered without reading storage. */
  unfinishedJobs(): Promise<JobRecord[]>;
  /** The newest preview of a running job. */
  preview(id: JobId): Promise<Blob | undefined>;
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

  /** Plans a run without running it. @throws AppError `invalid_request`, `model_not_found`, `unsupported_feature` */
  samplingPlan(choice: SamplerChoice, steps: number, model: ModelId): Promise<SamplingSummary>;

  settings(): Promise<Settings>;
  updateSettings(changes: Readonly<Record<string, SettingValue>>): Promise<Settings>;

  /** The finished images of a job with their files, in order; none of a job that is not known. */
  images(id: JobId): Promise<StoredImage[]>;
  /** @param after `next` of the page before; without it, the newest images */
  gallery(limit: number, after?: string): Promise<GalleryPage>;
  galleryItem(id: ImageId): Promise<StoredImage | undefined>;
  /** Deletes an image, and its job with the last of its images. @throws AppError `invalid_request` while the job runs */
  removeGalleryItem(id: ImageId): Promise<void>;

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
