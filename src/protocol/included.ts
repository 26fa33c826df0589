import type { AddOnKind, ModelId } from './model.ts';

/**
 * The add-ons that come with the app, as jobs require them; their packs are in library/packs/. Nothing of them is here
 * before a job, or the reader, asks for it.
 */
export const INCLUDED = {
  safetyChecker: { kind: 'safety-checker', id: 'nsfw-mobilenet-v2' },
  describer: { kind: 'captioner', id: 'emoji-mini-describer' },
  faces: { kind: 'finder', id: 'faces' },
  personMask: { kind: 'finder', id: 'person-mask' },
  pose: { kind: 'preprocessor', id: 'pose' },
  anime4k: { kind: 'upscaler', id: 'anime4k-2x' },
  websrPhoto: { kind: 'upscaler', id: 'websr-2x-photo' },
  esrganSlim2x: { kind: 'upscaler', id: 'esrgan-slim-2x' },
  esrganSlim4x: { kind: 'upscaler', id: 'esrgan-slim-4x' },
  esrganMedium4x: { kind: 'upscaler', id: 'esrgan-medium-4x' },
} as const satisfies Readonly<Record<string, { kind: AddOnKind; id: ModelId }>>;
