/** A script from its first run to its answer. It holds its place while none of its jobs runs. */
export interface ScriptUnderWay {
  readonly id: string;
  /** What `/progress` calls it. */
  readonly job: string;
  /** The request's `force_task_id`. */
  readonly taskId: string | null;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  /** Batches of all its runs, and of those that have ended. */
  batches: { all: number; before: number };
  /** Passes of a batch, and steps of a pass, of its last run. */
  passes: number;
  steps: number;
  /** Aborted by an interrupt: what it was about to run ends before it begins. */
  readonly stop: AbortController;
}

/**
 * The scripts of each run of the service worker, oldest first. They live in its memory as the scripts themselves do: if it is
 * killed, both are gone, and the browser sends their requests again.
 */
const underWay = new Map<string, readonly ScriptUnderWay[]>();

/** Enters a script; it stays until {@link endScript}. @param session the run of the service worker that it is a part of */
export function beginScript(session: string, facts: Pick<ScriptUnderWay, 'job' | 'taskId'>): ScriptUnderWay {
  const script: ScriptUnderWay = {
    ...facts,
    id: crypto.randomUUID(),
    startedAt: Date.now(),
    batches: { all: 1, before: 0 },
    passes: 1,
    steps: 0,
    stop: new AbortController(),
  };
  underWay.set(session, [...scriptsUnderWay(session), script]);
  return script;
}

/** Takes a script off the list. */
export function endScript(session: string, script: ScriptUnderWay): void {
  const others = scriptsUnderWay(session).filter((other) => other !== script);
  if (others.length > 0) underWay.set(session, others);
  else underWay.delete(session);
}

/** The scripts that have begun and are not answered yet, oldest first. */
export function scriptsUnderWay(session: string): readonly ScriptUnderWay[] {
  return underWay.get(session) ?? [];
}
