import { findModel, selectedModel, shortHash } from '#api/models.ts';
import { AppError } from '#protocol/error.ts';
import type { AddOnInfo, ModelInfo } from '#protocol/model.ts';
import type { Options } from './options.ts';

/** What is installed. */
export interface Installed {
  models: readonly ModelInfo[];
  addOns: readonly AddOnInfo[];
}

/** The checkpoint of the options, or else the selected one. @throws AppError `model_not_found` if there is none */
export function chosenCheckpoint(
  { sd_model_checkpoint: name }: Options,
  models: readonly ModelInfo[],
): ModelInfo {
  const model = (name === null ? undefined : findModel(models, name)) ?? selectedModel(models);
  if (model) return model;
  throw new AppError('model_not_found', 'No model is installed. Install one in the Models panel.');
}

/** A checkpoint that a request names for a part of the run. @throws AppError as the original for one that is not there */
export function namedCheckpoint(name: string, models: readonly ModelInfo[]): ModelInfo {
  const model = findModel(models, name);
  if (model) return model;
  throw new AppError('model_not_found', `Could not find checkpoint with name ${name}`, {
    detail: { status: 500, exception: 'Exception' },
  });
}

/** `photo [0123456789]`: how infotexts name checkpoints other than the main one. */
export function shortTitle(model: ModelInfo): string {
  const hash = shortHash(model);
  return hash === '' ? model.pack.id : `${model.pack.id} [${hash}]`;
}
