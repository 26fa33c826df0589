import type { BackendEvent } from './backends.ts';
import type { RunOutcome } from './engine-worker.ts';
import type { Job } from './job.ts';

/** What a user has decided about the AI Horde; the API key is not among it. */
export interface HordeOptions {
  /** A model by the Horde's name. */
  model: string;
  /** Whether only workers may take the job that do not censor. Otherwise unsafe images come back censored. */
  nsfw: boolean;
  /** Whether only workers may take it whom the Horde trusts. */
  trustedWorkers: boolean;
}

/** A model that workers of the Horde offer now. */
export interface HordeModel {
  name: string;
  /** Workers that offer it. */
  workers: number;
  /** Seconds until a new request would be done, by the Horde's own estimate. */
  waitSeconds: number;
}

/** What a job costs at the Horde. */
export interface HordeCost {
  /** Kudos, as the Horde estimates them. */
  kudos: number;
  /** Kudos of the account; null for an anonymous one, which has none to lose. */
  balance: number | null;
}

/** What the Horde needs to know about a job that only the host knows. */
export interface HordeOrder {
  job: Job;
  options: HordeOptions;
  /** Ids of CivitAI's model versions by the id of the pack that came from there. */
  civitaiVersions: Readonly<Record<string, string>>;
  /** What has been sent already, by an earlier tab. */
  sent: readonly string[];
}

/** What the host may ask of the worker that talks to the AI Horde. One job at a time. */
export interface HordeWorker {
  /**
   * Sends a job, waits for it and hands over its images. `onEvent` is awaited for `sent`: what has an id is stored
   * before it is waited for.
   * @throws AppError `unsupported_feature` for what the Horde cannot do, `remote_failed`
   */
  run(order: HordeOrder, onEvent: (event: BackendEvent) => void | Promise<void>): Promise<RunOutcome>;
  /** Cancels the running job at the Horde; images that are finished there are kept. */
  cancel(): void;
  /** The models on offer, those with the most workers first. @throws AppError `remote_failed` */
  models(): Promise<HordeModel[]>;
  /** What a job would cost. Neither its prompts nor its images are sent. @throws AppError as {@link run} */
  cost(order: HordeOrder): Promise<HordeCost>;
}
