import type { RunContext, Stage } from '#engine/stages/run/context.ts';
import type { RunOutcome } from '#protocol/engine-worker.ts';
import type { Job } from '#protocol/job.ts';
import { checkSafety } from './check-safety.ts';
import { describe } from './describe.ts';
import { findMask } from './find-mask.ts';
import { generate } from './generate.ts';
import { preprocess } from './preprocess.ts';
import { upscale } from './upscale.ts';

type Tasks = { readonly [Task in Job['task']]: Stage<Extract<Job, { task: Task }>, void> };

/** How each task lines up the stages. */
const tasks: Tasks = {
  generate,
  upscale,
  describe,
  'check-safety': checkSafety,
  'find-mask': findMask,
  preprocess,
};

/** Runs a job to its end, or until it is stopped. @throws AppError what its stages throw */
export async function runJob(run: RunContext, job: Job): Promise<RunOutcome> {
  // The table has each task's own stages under its own name.
  const task = tasks[job.task] as unknown as Stage<Job, void>;
  run.progress.loading();
  await task(run, job);
  return run.outcome();
}
