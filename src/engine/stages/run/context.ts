import { openAddOns, type AddOns } from '#engine/models/add-ons.ts';
import type { Models } from '#engine/models/models.ts';
import type { ReadFile } from '#engine/models/pack-files.ts';
import type { Upscalers } from '#engine/models/upscalers.ts';
import type { Runtime } from '#engine/runtime/runtime.ts';
import type { EngineEvent, RunOutcome } from '#protocol/engine-worker.ts';
import type { Job } from '#protocol/job.ts';
import type { AddOnPack, AnyPack, ModelPack } from '#protocol/model.ts';
import { countArtifacts } from '#protocol/tasks.ts';
import { createPreviewClock, type PreviewClock } from './previews.ts';
import { createProgress, type Progress } from './progress.ts';

/** What stops a run from outside; asked between steps. */
export interface Stop {
  cancelled: boolean;
  /** Ends the current batch only. Taken back when the next begins. */
  skipped: boolean;
}

/** What is on the device; outlives a run. */
export interface Device {
  runtime: Runtime;
  models: Models;
  upscalers: Upscalers;
}

/** What all stages of a run share. */
export interface RunContext extends Device {
  /** The installed models. */
  checkpoints: readonly ModelPack[];
  addOns: AddOns;
  progress: Progress;
  previews: PreviewClock;
  stop: Stop;
  /** Notes that something requested had no effect; each sentence counts once. */
  note: (sentence: string) => void;
  emit(event: EngineEvent): void;
  /** How the run has ended, once it has. */
  outcome(): RunOutcome;
}

/** A step on the way of an image. */
export type Stage<I, O> = (run: RunContext, input: I) => Promise<O>;

/**
 * What a run of this job starts with.
 * @param installed every installed pack
 * @param filesOf where the files of a pack are read from
 */
export function createRunContext(
  device: Device,
  job: Job,
  installed: readonly AnyPack[],
  filesOf: (pack: AddOnPack) => ReadFile,
  stop: Stop,
  emit: (event: EngineEvent) => void,
): RunContext {
  const notes = new Set<string>();
  return {
    ...device,
    checkpoints: installed.filter((pack) => pack.kind === 'model'),
    addOns: openAddOns(
      installed.filter((pack) => pack.kind !== 'model'),
      filesOf,
    ),
    progress: createProgress(countArtifacts(job), (progress) => emit({ type: 'progress', progress })),
    previews: createPreviewClock(),
    stop,
    note: (sentence) => void notes.add(sentence),
    emit,
    outcome: () => ({ interrupted: stop.cancelled, notes: [...notes] }),
  };
}

/** Whether the current batch is to end. */
export function isStopped({ stop }: Pick<RunContext, 'stop'>): boolean {
  return stop.cancelled || stop.skipped;
}
