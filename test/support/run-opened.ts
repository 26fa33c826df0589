import type { Model } from '#engine/models/model.ts';
import type { ReadFile } from '#engine/models/pack-files.ts';
import { createDevice } from '#engine/models/device.ts';
import type { Runtime } from '#engine/runtime/runtime.ts';
import { createRunContext } from '#engine/stages/run/context.ts';
import { runJob } from '#engine/tasks/index.ts';
import type { EngineEvent, RunOutcome } from '#protocol/engine-worker.ts';
import type { GenerateJob } from '#protocol/job.ts';
import type { AddOnPack, ModelPack } from '#protocol/model.ts';
import { withPass } from './jobs.ts';

/** Runs a job with a model that a test has opened itself, in whichever passes, and with others that the job names. */
export function runOpened(
  runtime: Runtime,
  model: Model,
  job: GenerateJob,
  emit: (event: EngineEvent) => void,
  addOns: readonly AddOnPack[] = [],
  filesOf: (pack: AddOnPack) => ReadFile = () => () => Promise.resolve(undefined),
  others: readonly Model[] = [],
): Promise<RunOutcome> {
  const models = {
    open: (packs: readonly ModelPack[]) =>
      Promise.resolve(packs.map(({ id }) => others.find(({ pack }) => pack.id === id) ?? model)),
    load: (wanted: Model, ...how: Parameters<Model['load']>) => wanted.load(...how),
    isOnDevice: () => true,
    bytes: () => Promise.resolve(0),
    leaveDevice: () => model.release(),
    release: () => model.release(),
  };
  const own = withPass(job, { model: model.pack.id });
  const run = createRunContext(
    createDevice(runtime, models),
    own,
    [model.pack, ...others.map(({ pack }) => pack), ...addOns],
    filesOf,
    { cancelled: false, skipped: false },
    emit,
  );
  return runJob(run, own);
}
