import type { ModelId } from '#protocol/model.ts';
import type { Settings } from '#protocol/settings.ts';

/*
 * What clients call the models and add-ons that they have loaded by an address. Packs have names of their own, so the
 * client's are kept among the settings.
 */

const PREFIX = 'modelslab.names.';

/** Setting: the VAE of requests that name none. */
export const VAE_SETTING = 'modelslab.vae';

/** Setting: whether the selected model runs for requests that name one that is not installed. */
export const UNKNOWN_MODEL_SETTING = 'modelslab.unknown_model';

/** The change of settings by which `name` means a pack from now on. */
export function nameSetting(name: string, pack: ModelId): Settings {
  return { [PREFIX + name.trim().toLowerCase()]: pack };
}

/** The pack's own name of what a client calls `name`; of several with commas, all. */
export function packNames<T extends string | null>(settings: Settings, names: T): T | string {
  if (names === null) return names;
  const known = names.split(',').map((name) => {
    const pack = settings[PREFIX + name.trim().toLowerCase()];
    return typeof pack === 'string' ? pack : name.trim();
  });
  return known.join(',');
}
