import { encodeLatents } from '#engine/stages/init/encode-latents.ts';
import type { PreparedInit } from '#engine/stages/init/prepared.ts';
import type { LoadedBatch } from '#engine/stages/load/load-pass.ts';
import type { Stage } from '#engine/stages/run/context.ts';
import type { MakeMap } from './control-image.ts';
import { prepareControls, type Control } from './control.ts';
import { makeNetworkMap } from './network-map.ts';

/** A batch and the init images that it starts from; none where it starts from noise. */
export interface ControlInput extends LoadedBatch {
  inits: readonly PreparedInit[];
}

/** A job's ControlNets with their images at the size of the pass. @throws AppError see {@link prepareControls} */
export const readControls: Stage<ControlInput, Control[]> = (run, { job, pass, model, inits }) => {
  const rules = pass.spec.sampler.family === 'diffusers' ? 'diffusers' : 'a1111';
  const makeMap: MakeMap = (preprocessor, rgb) => makeNetworkMap(run, preprocessor, rgb);
  return prepareControls(model, job.controls ?? [], pass.shape, makeMap, rules, inits, {
    passIndex: pass.index,
    encode: async (planes) => (await encodeLatents(run.runtime, model, planes)).mean,
  });
};
