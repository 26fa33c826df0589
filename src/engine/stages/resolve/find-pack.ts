import type { RunContext } from '#engine/stages/run/context.ts';
import { AppError } from '#protocol/error.ts';
import type { AddOnKind, AddOnPack, ModelId, ModelPack, PackKind } from '#protocol/model.ts';

/** What a pack is called, and what to do without it. */
const WORDS: Readonly<Record<PackKind, readonly [name: string, otherwise: string]>> = {
  model: ['checkpoint', 'choose another'],
  vae: ['VAE', 'clear the VAE setting'],
  controlnet: ['ControlNet', 'choose another'],
  upscaler: ['upscaler', 'choose another'],
  'safety-checker': ['safety checker', 'turn the safety checker off'],
  'face-restorer': ['face restoration model', 'choose another'],
  finder: ['model that finds things', 'choose another way to make the mask'],
  preprocessor: ['preprocessor', 'choose another'],
  tagger: ['tagger', 'choose another way to describe the image'],
  captioner: ['caption model', 'choose another way to describe the image'],
  'prompt-expansion': ['prompt expansion model', 'leave the prompt expansion out'],
  'ip-adapter': ['IP-Adapter', 'remove its image prompt'],
  'clip-vision': ['CLIP vision model', 'remove the image prompt'],
  'inpaint-patch': ['inpaint patch', 'inpaint without it'],
  lora: ['LoRA', 'leave it out'],
  embedding: ['embedding', 'leave it out'],
};

/** @throws AppError `model_not_found` when it is not installed */
export function findModel({ checkpoints }: RunContext, id: ModelId): ModelPack {
  return checkpoints.find((pack) => pack.id === id) ?? missing('model', id);
}

/** By id or title. @throws AppError `model_not_found` when it is not installed */
export function findAddOn({ addOns }: RunContext, kind: AddOnKind, id: ModelId): AddOnPack {
  return addOns.find(kind, id) ?? missing(kind, id);
}

function missing(kind: PackKind, id: ModelId): never {
  const [name, otherwise] = WORDS[kind];
  throw new AppError(
    'model_not_found',
    `The ${name} “${id}” is not installed. Install it in Models, or ${otherwise}.`,
    { detail: { model: id } },
  );
}
