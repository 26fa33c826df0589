import type { PackKind } from './model.ts';

/** Something users can be offered beyond images from prompts. */
interface CapabilityFacts {
  /** For people, as the object of "needs". */
  title: string;
  /** Whether it works here. Requests for one that does not are refused by name. */
  built: boolean;
  /** The kind of pack that has to be installed for it. */
  pack: PackKind | null;
}

/** The only place that says what works here: routes, parameters, the OpenAPI document and the README's tables read it. */
export const CAPABILITIES = {
  lora: { title: 'LoRAs', built: true, pack: 'lora' },
  embedding: { title: 'textual inversion embeddings', built: true, pack: 'embedding' },
  vae: { title: 'replacement VAEs', built: true, pack: 'vae' },
  controlnet: { title: 'ControlNet', built: true, pack: 'controlnet' },
  upscale: { title: 'upscaling networks', built: true, pack: 'upscaler' },
  img2img: { title: 'image-to-image', built: true, pack: null },
  inpaint: { title: 'inpainting', built: true, pack: null },
  'hires-fix': { title: 'hires fix', built: true, pack: null },
  refiner: { title: 'a refiner', built: true, pack: 'model' },
  vary: { title: 'variations of an image', built: true, pack: null },
  'image-prompt': { title: 'image prompts', built: true, pack: 'ip-adapter' },
  'image-embedding': { title: 'reading what PyTorch has saved of an image', built: false, pack: null },
  'control-preprocessor': { title: 'preprocessors that run a network', built: true, pack: 'preprocessor' },
  'face-restoration': { title: 'face restoration', built: true, pack: null },
  interrogate: { title: 'a model that describes images', built: true, pack: null },
  'find-mask': { title: 'finding masks in images', built: true, pack: 'finder' },
  'prompt-expansion': { title: 'prompt expansion', built: true, pack: 'prompt-expansion' },
  enhance: { title: 'enhancing what is found in an image', built: true, pack: null },
  'safety-checker': { title: 'a safety checker', built: true, pack: 'safety-checker' },
  'self-attention': { title: 'self-attention guidance', built: true, pack: null },
  panorama: { title: 'panoramas', built: true, pack: null },
  hypernetwork: { title: 'hypernetworks', built: false, pack: null },
  hypertile: { title: 'hypertile', built: false, pack: null },
  'extra-options': { title: 'the extra options script', built: false, pack: null },
  'img2img-alternative': { title: 'finding the noise behind an image', built: false, pack: null },
  training: { title: 'training', built: false, pack: null },
} as const satisfies Readonly<Record<string, CapabilityFacts>>;

export type Capability = keyof typeof CAPABILITIES;

/**
 * The capabilities that are not built. Only these can be named as a reason for a refusal, so that every refusal stops
 * compiling on the day its capability is built.
 */
export type MissingCapability = {
  [Name in Capability]: (typeof CAPABILITIES)[Name]['built'] extends true ? never : Name;
}[Capability];
