import type { Component } from 'svelte';
import Brush from '@lucide/svelte/icons/brush';
import Image from '@lucide/svelte/icons/image';
import ImageUpscale from '@lucide/svelte/icons/image-upscale';
import TextSearch from '@lucide/svelte/icons/text-search';
import Type from '@lucide/svelte/icons/type';

/** What an image is made from. */
interface ModeFacts {
  label: string;
  icon: Component;
  /** What the button says that starts it. */
  action: string;
  /** What its input image is called and whether there may be several; null where it starts from none. */
  well: { label: string; multiple: boolean } | null;
  /** Whether it is a run of the model, with a prompt, steps and a seed. */
  generates: boolean;
}

/** The modes of the Create panel, in the order of its tabs. They differ only in their input. */
export const modes = {
  text: { label: 'Text', icon: Type, action: 'Generate', well: null, generates: true },
  image: {
    label: 'Image',
    icon: Image,
    action: 'Generate',
    well: { label: 'Init image', multiple: true },
    generates: true,
  },
  edit: {
    label: 'Edit',
    icon: Brush,
    action: 'Generate',
    well: { label: 'Image to edit', multiple: false },
    generates: true,
  },
  upscale: {
    label: 'Upscale',
    icon: ImageUpscale,
    action: 'Upscale',
    well: { label: 'Image to upscale', multiple: true },
    generates: false,
  },
  describe: {
    label: 'Describe',
    icon: TextSearch,
    action: 'Describe',
    well: { label: 'Image to describe', multiple: false },
    generates: false,
  },
} as const satisfies Record<string, ModeFacts>;

export type Mode = keyof typeof modes;

export const modeNames: readonly Mode[] = ['text', 'image', 'edit', 'upscale', 'describe'];
