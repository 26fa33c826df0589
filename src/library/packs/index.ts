import type { ModelId, ModelPack } from '#protocol/model.ts';
import { emojiMini } from './emoji-mini.ts';

/** Every model that can be installed by name. The first is the built-in one. */
export const packs = { 'emoji-mini': emojiMini } as const satisfies Record<ModelId, ModelPack>;
