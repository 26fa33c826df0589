import { createStore, get, update } from 'idb-keyval';
import type { ClientHost, OtherServers, Upstream } from '#protocol/other-servers.ts';

/** Only what the user has entered is kept. */
const NONE: OtherServers = { upstreams: [], hosts: [] };

/** The servers that may answer in this tab's place, and those in whose place this app answers. */
export function openOtherServers(database = 'vitrine-servers') {
  const store = createStore(database, 'servers');
  const change = (how: (servers: OtherServers) => OtherServers) =>
    update<OtherServers>('all', (servers = NONE) => how(servers), store);
  return {
    all: async (): Promise<OtherServers> => (await get<OtherServers>('all', store)) ?? NONE,
    putUpstream: (upstream: Upstream): Promise<void> =>
      change(({ upstreams, hosts }) => ({
        upstreams: [...upstreams.filter(({ dialect }) => dialect !== upstream.dialect), upstream],
        hosts,
      })),
    putHost: (host: ClientHost): Promise<void> =>
      change(({ upstreams, hosts }) => ({
        upstreams,
        hosts: [...hosts.filter((other) => other.host !== host.host), host],
      })),
    removeHost: (host: string): Promise<void> =>
      change(({ upstreams, hosts }) => ({ upstreams, hosts: hosts.filter((other) => other.host !== host) })),
  };
}

export type OtherServersStore = ReturnType<typeof openOtherServers>;
