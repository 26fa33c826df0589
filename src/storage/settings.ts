import { createStore, entries, setMany } from 'idb-keyval';
import type { Settings, SettingValue } from '#protocol/settings.ts';

/** Settings that differ from the dialects' defaults. */
export function openSettings(database = 'vitrine-settings') {
  const store = createStore(database, 'settings');
  return {
    async all(): Promise<Settings> {
      return Object.fromEntries(await entries<string, SettingValue>(store));
    },
    async update(changes: Readonly<Record<string, SettingValue>>): Promise<void> {
      await setMany(Object.entries(changes), store);
    },
  };
}

export type SettingsStore = ReturnType<typeof openSettings>;
