import type { AddOnPack, AnyPack, ModelId } from '#protocol/model.ts';
import { describer } from './describer.ts';
import { emojiMini } from './emoji-mini.ts';
import { upscalers } from './upscalers.ts';
import { visionNetworks } from './vision.ts';

const byId = (addOns: readonly AddOnPack[]): Readonly<Record<ModelId, AddOnPack>> =>
  Object.fromEntries(addOns.map((pack) => [pack.id, pack]));

/** Everything that comes with the app, by id. The first is the built-in model. */
export const packs = {
  'emoji-mini': emojiMini,
  ...byId([describer, ...visionNetworks, ...upscalers]),
} satisfies Readonly<Record<ModelId, AnyPack>>;
