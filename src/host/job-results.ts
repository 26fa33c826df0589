import type { EngineEvent, RunOutcome } from '#protocol/engine-worker.ts';
import { AppError, toAppError } from '#protocol/error.ts';
import {
  imageIdOf,
  type Artifact,
  type ImageArtifact,
  type JobProgress,
  type JobRecord,
  type JobResult,
  type StoredImage,
} from '#protocol/job.ts';

/** An image of a job as stored. */
export function toStoredImage({ id, origin }: JobRecord, { image }: ImageArtifact, blob: Blob): StoredImage {
  const { index, width, height, seed, prompt, infotext } = image;
  return {
    id: imageIdOf(id, index),
    jobId: id,
    index,
    client: origin.client,
    createdAt: Date.now(),
    blob,
    width,
    height,
    seed: seed.toString(),
    prompt: prompt.join(' '),
    infotext,
  };
}

function isSame(a: Artifact, b: Artifact): boolean {
  if (a.kind === 'image') return b.kind === 'image' && a.image.index === b.image.index;
  if (a.kind === 'text') return b.kind === 'text';
  if (a.kind === 'rating') return b.kind === 'rating' && a.of === b.of;
  return b.kind === 'mask' && a.of === b.of && a.role === b.role;
}

function secondsSince({ startedAt }: JobRecord): number {
  return (Date.now() - (startedAt ?? Date.now())) / 1000;
}

/** A running job's result with one artifact more. The engine repeats a job whose device was lost: one can come twice. */
export function withArtifact(
  record: JobRecord,
  { artifact }: Extract<EngineEvent, { artifact: Artifact }>,
): JobResult {
  const others = (record.result?.artifacts ?? []).filter((other) => !isSame(other, artifact));
  return {
    artifacts: [...others, artifact],
    interrupted: false,
    seconds: secondsSince(record),
    notes: [],
  };
}

/** How long a run has waited for its models, and since when it waits for them now. */
export interface Loading {
  seconds: number;
  /** Epoch milliseconds. */
  since: number | null;
}

/** The same once a run reports what it does. */
export function loadingAfter(loading: Loading, phase: JobProgress['phase'], now = Date.now()): Loading {
  const { seconds, since } = loading;
  if (phase === 'loading') return { seconds, since: since ?? now };
  return since === null ? loading : { seconds: seconds + (now - since) / 1000, since: null };
}

/** How a job ends whose run came to its end. */
export function endOfRun(
  record: JobRecord,
  { interrupted, notes }: RunOutcome,
  { seconds: loadingSeconds }: Loading,
): Partial<JobRecord> {
  const artifacts = record.result?.artifacts ?? [];
  return {
    stage: interrupted ? 'cancelled' : 'done',
    result: { artifacts, interrupted, seconds: secondsSince(record), loadingSeconds, notes },
  };
}

/** How a job ends whose run failed; it keeps what it has made. */
export function endOfFailure({ result }: JobRecord, thrown: unknown): Partial<JobRecord> {
  const error = toAppError(thrown);
  return {
    stage: error.code === 'cancelled' ? 'cancelled' : 'failed',
    error: error.toData(),
    result: result && { ...result, interrupted: true },
  };
}

/** How a job ends that took tab after tab down with it. */
export function endOfAttempts(): Partial<JobRecord> {
  const error = new AppError(
    'engine_crashed',
    'This job crashed the engine each time it was tried. Try a smaller size, or another checkpoint.',
  );
  return { stage: 'failed', error: error.toData() };
}
