import { families } from '#protocol/families.ts';
import type { AddOnPack } from '#protocol/model.ts';
import type { Model } from './model.ts';

/** Why an add-on has no effect on a model, as a sentence and without reading its file; null if it may have one. */
export function explainMisfit({ pack: model, tokenTables }: Model, addOn: AddOnPack): string | null {
  if (tokenTables.length === 0)
    return `${model.title} consists of exported ONNX graphs, which take no add-ons.`;
  if (addOn.family === null || addOn.family === model.family) return null;
  // The two have one latent space.
  if (addOn.kind === 'vae' && addOn.family === 'sdxl' && model.family === 'sdxl-refiner') return null;
  return `it was made for ${families[addOn.family].title}, and ${model.title} is of ${families[model.family].title}.`;
}
