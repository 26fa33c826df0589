import { pythonFloat, type InfotextPair } from '#codecs/infotext.ts';
import type { Pass } from '#protocol/job.ts';
import type { ModelInfo } from '#protocol/model.ts';
import { namedCheckpoint, shortTitle } from './checkpoints.ts';
import type { GenerationBody } from './generation-rows.ts';
import { namesFile } from './names-file.ts';
import type { Options } from './options.ts';

/** Passes, and what the infotext says of them. */
export interface TitledPasses {
  passes: [Pass, ...Pass[]];
  pairs: InfotextPair[];
}

/**
 * Passes with the refiner in those that the options say, with hires fix the second one by default. A request without
 * `refiner_switch_at` has it from the first step on. Source: A1111 modules/sd_samplers_common.py, `apply_refiner`.
 * @throws AppError as the original for a checkpoint that is not there
 */
export function withRefiner(
  passes: [Pass, ...Pass[]],
  { refiner_checkpoint: name, refiner_switch_at: switchAt }: GenerationBody,
  options: Options,
  models: readonly ModelInfo[],
): TitledPasses {
  if (!namesFile(name)) return { passes, pairs: [] };
  const model = namedCheckpoint(name, models);
  const at = Math.max(switchAt ?? 0, 0);
  // The run is over before it takes over.
  if (at >= 1) return { passes, pairs: [] };
  const { hires_fix_refiner_pass: where, refiner_switch_by_sample_steps: bySteps } = options;
  const refiner = { model: model.pack.id, switchAt: at, counts: bySteps ? 'step' : 'timestep' } as const;
  const isHires = passes.length > 1;
  const takesPart = (index: number) =>
    !isHires || where === 'both passes' || (index === 0) === (where === 'first pass');
  const refine = (pass: Pass, index: number): Pass =>
    takesPart(index) && pass.model !== model.pack.id ? { ...pass, refiner } : pass;
  const [first, ...later] = passes;
  const refined: [Pass, ...Pass[]] = [
    refine(first, 0),
    ...later.map((pass, index) => refine(pass, index + 1)),
  ];
  if (refined.every((pass) => !pass.refiner)) return { passes, pairs: [] };
  return {
    passes: refined,
    pairs: [
      ...(bySteps ? ([['Refiner switch by sampling steps', 'True']] as const) : []),
      ...(isHires && where !== 'second pass' ? ([['Hires refiner', where]] as const) : []),
      ['Refiner', shortTitle(model)],
      ...(switchAt === null ? [] : ([['Refiner switch at', pythonFloat(switchAt)]] as const)),
    ],
  };
}
