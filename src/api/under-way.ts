import type { JobId, JobProgress } from '#protocol/job.ts';
import { pause } from '#protocol/pause.ts';
import type { Ask } from './connection.ts';

/** What has to begin an answer, and when it is looked at. */
interface UnderWay {
  ask: Ask;
  /** The job of the request, once it has one. */
  job: () => JobId | undefined;
  /** Milliseconds before the first look, and between looks. */
  everyMs: number;
  /** Milliseconds after which the answer begins in any case. */
  atMostMs: number;
  /** Ends the waiting. */
  signal: AbortSignal;
}

/**
 * Resolves with the progress of a request's job once it has made its first step: its models are loaded and its prompts
 * are read, so that hardly anything can fail that has a status of its own. Resolves with null after `atMostMs`, or when
 * the waiting is ended. Never rejects.
 */
export async function untilUnderWay(wanted: UnderWay): Promise<JobProgress | null> {
  const { ask, job, everyMs, atMostMs, signal } = wanted;
  const until = performance.now() + atMostMs;
  const isOver = () => signal.aborted || performance.now() >= until;
  while (!isOver()) {
    await pause(Math.min(everyMs, until - performance.now()), signal);
    const id = isOver() ? undefined : job();
    if (id === undefined) continue;
    const record = await ask((host) => host.job(id)).catch(() => undefined);
    const progress = record?.stage === 'running' ? record.progress : null;
    if (progress && (progress.step > 0 || progress.image > 0)) return progress;
  }
  return null;
}
