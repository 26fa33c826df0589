import type { BackendInfo, PromptTexts, SamplingSummary, TokenCount } from './engine-host.ts';
import type {
  ImageArtifact,
  Job,
  JobProgress,
  JobResult,
  MaskArtifact,
  Preview,
  RatingArtifact,
  TextArtifact,
} from './job.ts';
import type { AnyPack, ModelPack } from './model.ts';
import type { SamplerChoice } from './sampler.ts';

/** What the engine reports while it works; the last argument of {@link EngineWorker.run}. */
export type EngineEvent =
  | { type: 'progress'; progress: JobProgress }
  | { type: 'preview'; preview: Preview }
  | { type: 'artifact'; artifact: ImageArtifact; file: Blob }
  | { type: 'by-product'; artifact: MaskArtifact | TextArtifact | RatingArtifact };

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
   * Runs a job and hands over each artifact as it is finished.
   * @param installed every pack that is installed: the models and add-ons the job names, and the LoRAs and embeddings its
   *   prompts may name
   * @throws AppError `device_lost`, `out_of_memory`, `not_a_number`, `model_not_found`, `unsupported_feature`
   */
  run(installed: readonly AnyPack[], job: Job, onEvent: (event: EngineEvent) => void): Promise<RunOutcome>;
  /** Ends the running job before its next step. */
  cancel(): void;
  /** Ends the current batch before its next step. */
  skip(): void;
  /** Frees what is loaded. */
  unload(): Promise<void>;
  /**
   * Measures how fast the device computes what diffusion consists of, in some seconds. Frees what is loaded.
   * @returns multiply-adds per second
   * @throws AppError `device_lost`, `out_of_memory`
   */
  measureSpeed(): Promise<number>;
  /** Plans a run without running it. @throws AppError `invalid_request`, `unsupported_feature` */
  samplingPlan(pack: ModelPack, choice: SamplerChoice, steps: number): Promise<SamplingSummary>;
  /**
   * Counts the tokens of prompts in A1111's syntax; see `EngineHost.countTokens`.
   * @param installed every pack that is installed, for the embeddings the prompts may name
   * @throws AppError `model_not_found`, `invalid_request`
   */
  countTokens(
    pack: ModelPack,
    installed: readonly AnyPack[],
    texts: PromptTexts,
  ): Promise<Readonly<Record<keyof PromptTexts, TokenCount>>>;
}
