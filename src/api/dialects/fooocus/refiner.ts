import { findModel } from '#api/models.ts';
import type { Refiner } from '#protocol/job.ts';
import type { ModelInfo } from '#protocol/model.ts';
import type { CommonRequest } from './schema.ts';
import type { RunNumbers, Settings } from './settings.ts';

/** A request's refiner: the model, and what of the run it does; null where it does nothing. */
export interface RefinerPlan {
  model: ModelInfo | null;
  refiner: Refiner | null;
  withoutEffect: string[];
}

/**
 * The refiner of a request. As in the original, these are ignored: a file that is not installed, the base model itself, and any refiner
 * with the fast performance modes.
 */
export function readRefiner(
  { refiner_model_name: name }: CommonRequest,
  { allowsRefiner, steps, switchStep }: Pick<Settings, 'allowsRefiner'> & RunNumbers,
  base: ModelInfo,
  models: readonly ModelInfo[],
): RefinerPlan {
  if (name === '' || name === 'None') return { model: null, refiner: null, withoutEffect: [] };
  const model = findModel(models, name);
  if (!model || model === base || !allowsRefiner) {
    return { model: null, refiner: null, withoutEffect: ['refiner_model_name'] };
  }
  // The run is over before it takes over.
  if (switchStep >= steps) return { model, refiner: null, withoutEffect: [] };
  const refiner: Refiner = { model: model.pack.id, switchAt: switchStep / steps, counts: 'step' };
  return { model, refiner, withoutEffect: [] };
}
