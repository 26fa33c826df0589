import type { BackendInfo, SamplingSummary } from './engine-host.ts';
import type { Job, JobProgress, JobResult, GeneratedImage } from './job.ts';
import type { AddOnPack, ModelPack } from './model.ts';
import type { SamplerChoice } from './sampler.ts';

/** What the engine tells while it works; the last argument of {@link EngineWorker.run}. */
export type EngineEvent =
  | { type: 'progress'; progress: JobProgress }
  | { type: 'preview'; blob: Blob }
  | { type: 'image'; image: GeneratedImage };

/** How a run ended: see {@link JobResult}. */
export type RunOutcome = Pick<JobResult, 'interrupted' | 'notes'>;

/** Where the user wants the maths done; `auto` follows the adapter. */
export type BackendChoice = 'auto' | 'webgpu' | 'wasm';

/** What the host may ask of the engine worker. One job at a time: the host's queue sees to it. */
export interface EngineWorker {
  /** Picks device and build. Idempotent. @throws AppError `unsupported_feature` when a forced backend is absent */
  start(choice: BackendChoice): Promise<BackendInfo>;
  /** Loads a model ahead of its first job. */
  load(pack: ModelPack): Promise<void>;
  /**
   * Runs a job and hands over each image as it is finished.
   * @param pack the model of a job that generates; null for the others
   * @param addOns what is installed besides: LoRAs and embeddings that prompts name, the VAE or the upscalers a job names
   * @throws AppError `device_lost`, `out_of_memory`, `not_a_number`, `model_not_found`, `unsupported_feature`
   */
  run(
    pack: ModelPack | null,
    addOns: readonly AddOnPack[],
    job: Job,
    onEvent: (event: EngineEvent) => void,
  ): Promise<RunOutcome>;
  /** Ends the running job before its next step. */
  cancel(): void;
  /** Ends the current batch before its next step. */
  skip(): void;
  /** Frees what is loaded. */
  unload(): Promise<void>;
  /** Plans a run without running it. @throws AppError `invalid_request`, `unsupported_feature` */
  samplingPlan(pack: ModelPack, choice: SamplerChoice, steps: number): Promise<SamplingSummary>;
}
