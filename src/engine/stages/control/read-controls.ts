import type { LoadedBatch } from '#engine/stages/load/load-pass.ts';
import type { Stage } from '#engine/stages/run/context.ts';
import { prepareControls, type Control } from './control.ts';

/** A job's ControlNets with their images at the size of the pass. @throws AppError see {@link prepareControls} */
export const readControls: Stage<LoadedBatch, Control[]> = (_, { job, pass, model }) =>
  prepareControls(model, job.controls ?? [], pass.shape, pass.spec.sampler.family === 'diffusers');
