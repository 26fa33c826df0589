import type { Model } from '#engine/models/model.ts';
import type { ReadFile } from '#engine/models/pack-files.ts';
import { createUpscalers } from '#engine/models/upscalers.ts';
import type { Runtime } from '#engine/runtime/runtime.ts';
import { createRunContext } from '#engine/stages/run/context.ts';
import { runJob } from '#engine/tasks/index.ts';
import type { EngineEvent, RunOutcome } from '#protocol/engine-worker.ts';
import type { GenerateJob } from '#protocol/job.ts';
import type { AddOnPack } from '#protocol/model.ts';
import { withPass } from './jobs.ts';

/** Runs a job with a model that a test has opened itself, in whichever passes. */
export function runOpened(
  runtime: Runtime,
  model: Model,
  job: GenerateJob,
  emit: (event: EngineEvent) => void,
  addOns: readonly AddOnPack[] = [],
  filesOf: (pack: AddOnPack) => ReadFile = () => () => Promise.resolve(undefined),
): Promise<RunOutcome> {
  const models = {
    open: (packs: readonly unknown[]) => Promise.resolve(packs.map(() => model)),
    load: (_: Model, ...how: Parameters<Model['load']>) => model.load(...how),
    release: () => model.release(),
  };
  const own = withPass(job, { model: model.pack.id });
  const run = createRunContext(
    { runtime, models, upscalers: createUpscalers(runtime) },
    own,
    [model.pack, ...addOns],
    filesOf,
    { cancelled: false, skipped: false },
    emit,
  );
  return runJob(run, own);
}
