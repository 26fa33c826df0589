import type { Runtime } from '#engine/runtime/runtime.ts';
import { createImagePromptNetworks, type ImagePromptNetworks } from './image-prompts.ts';
import type { Models } from './models.ts';
import { createUpscalers, type Upscalers } from './upscalers.ts';
import { createVisionNetworks, type VisionNetworks } from './vision-networks.ts';

/** What is on the device; outlives a run. */
export interface Device {
  runtime: Runtime;
  models: Models;
  upscalers: Upscalers;
  vision: VisionNetworks;
  imagePrompts: ImagePromptNetworks;
}

/** Nothing is loaded yet. */
export function createDevice(runtime: Runtime, models: Models): Device {
  return {
    runtime,
    models,
    upscalers: createUpscalers(runtime),
    vision: createVisionNetworks(runtime, models),
    imagePrompts: createImagePromptNetworks(runtime),
  };
}

/** Frees what is loaded. */
export async function emptyDevice({ models, upscalers, vision }: Device): Promise<void> {
  await upscalers.release();
  await vision.release();
  await models.release();
}
