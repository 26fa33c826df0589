import { openAddOns, type AddOns } from '#engine/models/add-ons.ts';
import type { Device } from '#engine/models/device.ts';
import type { ReadFile } from '#engine/models/pack-files.ts';
import type { EngineEvent, RunOutcome } from '#protocol/engine-worker.ts';
import type { Job } from '#protocol/job.ts';
import type { AddOnPack, AnyPack, ModelPack } from '#protocol/model.ts';
import { isChecked } from '#protocol/safety.ts';
import { countArtifacts, requirementsOf } from '#protocol/tasks.ts';
import { createPreviewClock, noPreviews, type PreviewClock } from './previews.ts';
import { createProgress, type Progress } from './progress.ts';

/** What stops a run from outside; asked between steps. */
export interface Stop {
  cancelled: boolean;
  /** Ends the current batch only. Taken back when the next begins. */
  skipped: boolean;
}

/** What all stages of a run share. */
export interface RunContext extends Device {
  /** The installed models. */
  checkpoints: readonly ModelPack[];
  /** Those of them that the job names, in whichever of its parts: they stay open while it runs. */
  namedCheckpoints: readonly ModelPack[];
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
  const progress = createProgress(countArtifacts(job), (state) =>
    emit({ type: 'progress', progress: state }),
  );
  const checkpoints = installed.filter((pack) => pack.kind === 'model');
  const named = new Set(requirementsOf(job).map(({ id }) => id));
  return {
    ...device,
    checkpoints,
    namedCheckpoints: checkpoints.filter(({ id }) => named.has(id)),
    addOns: openAddOns(
      installed.filter((pack) => pack.kind !== 'model'),
      filesOf,
    ),
    progress,
    previews: isChecked(job) ? noPreviews : createPreviewClock(),
    stop,
    note: (sentence) => progress.noted([...notes.add(sentence)]),
    emit,
    outcome: () => ({ interrupted: stop.cancelled, notes: [...notes] }),
  };
}

/** Whether the current batch is to end. */
export function isStopped({ stop }: Pick<RunContext, 'stop'>): boolean {
  return stop.cancelled || stop.skipped;
}
