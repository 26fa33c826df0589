import { families } from '#protocol/families.ts';
import type { CatalogueEntry, ImportOffer } from '#protocol/import.ts';
import type { AddOnInfo, AnyPack, ModelId, ModelInfo, ModelPack, ModelState } from '#protocol/model.ts';

/** A model or an add-on with where it stands. */
export type AnyPackInfo = ModelInfo | AddOnInfo;

/** What kinds of packs are called. */
export const kindLabels: Readonly<Record<ImportOffer['kind'], string>> = {
  model: 'Model',
  lora: 'LoRA',
  embedding: 'Embedding',
  vae: 'VAE',
  controlnet: 'ControlNet',
  upscaler: 'Upscaler',
  'safety-checker': 'Safety checker',
  'face-restorer': 'Face restoration',
  finder: 'Finder',
  preprocessor: 'Preprocessor',
  tagger: 'Tagger',
  captioner: 'Caption model',
  'prompt-expansion': 'Prompt expansion',
  'ip-adapter': 'IP-Adapter',
  'clip-vision': 'CLIP vision',
  'inpaint-patch': 'Inpaint patch',
  unknown: 'Not recognised',
};

/** What a family is called. */
export function familyLabel(family: NonNullable<ImportOffer['family']>): string {
  return family === 'other' ? 'Another family' : families[family].title;
}

export function isInstalled({ state }: AnyPackInfo): boolean {
  return state.stage === 'installed';
}

/** Whether it is being brought here right now. */
export function isArriving({ stage }: ModelState): boolean {
  return stage === 'downloading' || stage === 'verifying' || stage === 'quantising';
}

/** Whether its files came from the user's disk, so that only the user can provide them again. */
export function isFromDisk({ importedFrom }: AnyPack): boolean {
  return importedFrom === null;
}

/** Whether an add-on is installed and fits a model. */
export function fitsModel(addOn: AddOnInfo, model: ModelPack): boolean {
  return isInstalled(addOn) && (addOn.pack.family === null || addOn.pack.family === model.family);
}

/** Whether a pack is what an entry of the catalogue leads to. */
export function isOfEntry({ importedFrom }: AnyPack, entry: CatalogueEntry): boolean {
  return importedFrom === entry.url;
}

/** What to write in a prompt for a LoRA at full strength, or for an embedding; null for what prompts do not name. */
export function promptText({ kind, id }: AnyPack): string | null {
  if (kind === 'lora') return loraTag(id, 1);
  return kind === 'embedding' ? id : null;
}

/** How a prompt names a LoRA. */
export function loraTag(id: ModelId, strength: number): string {
  return `<lora:${id}:${strength}>`;
}

/** Where a prompt names an add-on, a LoRA at any strength. */
export function mentionPattern({ kind, id }: AnyPack): RegExp {
  const name = id.replaceAll(/[^\w]/g, '\\$&');
  return kind === 'lora'
    ? new RegExp(`<lora:${name}(?::[^>]*)?>`, 'i')
    : new RegExp(`(?<![\\w-])${name}(?![\\w-])`, 'i');
}
