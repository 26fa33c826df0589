import type { EngineEvent } from './engine-worker.ts';

/** What users must know of a place where jobs run, before anything is sent there. */
interface BackendFacts {
  /** For people. */
  title: string;
  /** The host that prompts and images are sent to; null for this machine. */
  sentTo: string | null;
}

/** Where jobs can run. `local` is the engine of this tab; every other one is a service on the network. */
export const BACKENDS = {
  local: { title: 'This tab', sentTo: null },
  horde: { title: 'AI Horde', sentTo: 'aihorde.net' },
} as const satisfies Readonly<Record<string, BackendFacts>>;

export type BackendId = keyof typeof BACKENDS;

/** Where a job is to run: in one place, or in whichever is free first. */
export type RunsOn = BackendId | 'any';

/** With it a client says where its jobs run: `local`, `horde` or `any`. Its dialect's upstream is then not asked. */
export const BACKEND_HEADER = 'X-Vitrine-Backend';

/** The setting that decides where a request says nothing. */
export const RUNS_ON_SETTING = 'app.runs_on';

/** Whether the user has agreed that prompts leave for the AI Horde. Without it nothing is sent there. */
export const HORDE_ALLOWED_SETTING = 'horde.allowed';

/** A {@link RunsOn} from a setting or a header; undefined for any other text. */
export function readRunsOn(value: unknown): RunsOn | undefined {
  if (value === 'any') return value;
  return typeof value === 'string' && Object.hasOwn(BACKENDS, value) ? (value as BackendId) : undefined;
}

/** A job as a service on the network knows it. Kept in the job's record, so that another tab finds it there. */
export interface RemoteRequests {
  /** The service, a {@link BackendId}. */
  backend: string;
  /** The service's ids, in the order in which the job's parts were sent. */
  ids: readonly string[];
}

/**
 * What a backend reports while it works on a job: what the engine does, and that a part of the job has been sent to a service
 * and is known there under this id.
 */
export type BackendEvent = EngineEvent | { type: 'sent'; index: number; id: string };
