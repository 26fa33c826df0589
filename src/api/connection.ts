import { AppError } from '#protocol/error.ts';
import type { EngineHost } from '#protocol/engine-host.ts';
import type { Promised } from '#protocol/promised.ts';

type HostQuestion =
  | 'submit'
  | 'wait'
  | 'answered'
  | 'begun'
  | 'job'
  | 'jobs'
  | 'jobIds'
  | 'unfinishedJobs'
  | 'preview'
  | 'cancel'
  | 'skip'
  | 'removeJob'
  | 'models'
  | 'addOns'
  | 'installModel'
  | 'removeModel'
  | 'selectModel'
  | 'settings'
  | 'updateSettings'
  | 'inspectImport'
  | 'importModel'
  | 'images'
  | 'file'
  | 'publishFiles'
  | 'keepFile';

/** What the API asks of the engine host, in the same thread or over a port (comlink's `Remote<EngineHost>`). */
export type ApiHost = Promised<Pick<EngineHost, HostQuestion>>;

/** A line to the tab that hosts the engine. */
interface HostConnection {
  host: ApiHost;
  /** Resolves when that tab has died: what was asked of it will never be answered. */
  ended: Promise<void>;
  /** Lets go of the line, where it takes up something. */
  close?: () => void;
}

/**
 * Finds the hosting tab; waits a moment for a successor when there is none.
 * @throws AppError `no_engine_tab`, `protocol_mismatch`
 */
export type Connect = () => Promise<HostConnection>;

/** A job that takes this many tabs with it is not tried in another one. */
const MOST_TABS = 4;

/** Asks the hosting tab. */
export type Ask = <T>(question: (host: ApiHost) => Promise<T>) => Promise<T>;

/** A conversation with the hosting tab. */
export interface HostLine {
  /**
   * Asks the hosting tab. When it dies before it has answered, its successor is asked the same, so a question must bear
   * being asked twice.
   * @throws AppError what the host or {@link Connect} throws; `engine_crashed` when tab after tab dies
   */
  ask: Ask;
  /** Ends the conversation; what was asked may stay unanswered. */
  close(): void;
}

/** Opens a line with the first question, and keeps it for the next: to find the host takes longer than to ask it. */
export function openLine(connect: Connect): HostLine {
  let current: Promise<HostConnection> | null = null;

  function hangUp(): void {
    current?.then((connection) => connection.close?.()).catch(() => undefined);
    current = null;
  }

  return {
    async ask(question) {
      for (let tab = 0; tab < MOST_TABS; tab++) {
        const connecting = (current ??= connect());
        const connection = await connecting.catch((error: unknown) => {
          current = null;
          throw error;
        });
        const answered = question(connection.host).then((value) => ({ value }));
        const answer = await Promise.race([answered, connection.ended]);
        if (answer) return answer.value;
        if (current === connecting) hangUp();
      }
      throw new AppError(
        'engine_crashed',
        'Every tab that ran the engine was closed or crashed during this job.',
      );
    },
    close: hangUp,
  };
}
