import { createStore, del, get, keys, set } from 'idb-keyval';

/**
 * The user's keys for services on the network, by service. They are kept apart from the settings, which every tab and API client
 * can read: whoever needs a key reads it here, where it is sent from.
 */
export function openKeys(database = 'vitrine-keys') {
  const store = createStore(database, 'keys');
  return {
    get: (service: string): Promise<string | undefined> => get(service, store),
    /** An empty key deletes it. */
    put: (service: string, key: string): Promise<void> =>
      key === '' ? del(service, store) : set(service, key, store),
    /** The services that have one. */
    services: (): Promise<string[]> => keys<string>(store),
  };
}

export type Keys = ReturnType<typeof openKeys>;
