import type { HordeOptions } from '#protocol/horde-worker.ts';
import type { AddOnPack } from '#protocol/model.ts';
import type { Settings } from '#protocol/settings.ts';

/** What the user has decided about the Horde, from the settings. An empty model is the one that the job's checkpoint has there. */
export function hordeOptions(settings: Settings): HordeOptions {
  const model = settings['horde.model'];
  return {
    model: typeof model === 'string' ? model : '',
    nsfw: settings['horde.nsfw'] === true,
    trustedWorkers: settings['horde.trusted_workers'] === true,
  };
}

/** CivitAI's address of a file: it names the version of a model. */
const CIVITAI_FILE = /^https:\/\/civitai\.com\/api\/download\/models\/(\d+)/;

/** CivitAI's ids of the LoRAs that were imported from there, by the ids of their packs. Nothing else can be named to the Horde. */
export function civitaiVersions(addOns: readonly AddOnPack[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    addOns.flatMap(({ kind, id, importedFrom }) => {
      const version = CIVITAI_FILE.exec(importedFrom ?? '')?.[1];
      return kind === 'lora' && version !== undefined ? [[id, version]] : [];
    }),
  );
}
