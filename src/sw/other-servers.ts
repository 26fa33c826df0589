import { dialects } from '#api/dialects/index.ts';
import { forward, isRefusal, refusalOf, type ActiveUpstream } from '#api/forward.ts';
import type { Dialect } from '#api/route.ts';
import { isRecord, parseJson } from '#codecs/json.ts';
import { AppError, toAppError } from '#protocol/error.ts';
import {
  hostOfUpstream,
  keyOfUpstream,
  readHost,
  readServerUrl,
  type ListedHost,
  type OtherServers,
  type ServersQuestion,
  type ServersReply,
  type ServersView,
  type Upstream,
} from '#protocol/other-servers.ts';
import type { Keys } from '#storage/keys.ts';
import type { OtherServersStore } from '#storage/other-servers.ts';

const DEFAULT_LONGER_THAN = 3;
const TEST_TIMEOUT_MS = 15_000;

interface Parts {
  store: OtherServersStore;
  keys: Keys;
  /** The origin of this app. */
  origin: string;
}

/**
 * What the service worker knows of other servers: those that answer in this tab's place, and those in whose place it
 * answers. It alone talks to them. The policy of the pages allows no other server, and a service worker has a policy of its
 * own; addresses come from nowhere but the settings kept here, so exactly those hosts can be reached. Keys come in, and go
 * out to their own server only.
 */
export function createOtherServers({ store, keys, origin }: Parts) {
  /** What is kept, read once and after every change: nothing else writes it while this worker is active. */
  let reading: Promise<OtherServers> | null = null;
  let known: OtherServers | null = null;

  function read(): Promise<OtherServers> {
    reading ??= store.all().then(
      (servers) => (known = servers),
      (thrown: unknown) => {
        reading = null;
        throw thrown;
      },
    );
    return reading;
  }

  function upstreamIn({ upstreams }: OtherServers, dialect: string): Upstream {
    const kept = upstreams.find((upstream) => upstream.dialect === dialect);
    return kept ?? { dialect, url: '', rule: 'never', longerThan: DEFAULT_LONGER_THAN };
  }

  async function activate(upstream: Upstream): Promise<ActiveUpstream> {
    return { ...upstream, key: (await keys.get(keyOfUpstream(upstream.dialect))) ?? null };
  }

  async function view(): Promise<ServersView> {
    const servers = await read();
    const named = new Set(await keys.services());
    return {
      apis: services().map(({ name, title, service }) => ({
        title,
        keyTitle: service.keyTitle,
        hasKey: named.has(keyOfUpstream(name)),
        upstream: upstreamIn(servers, name),
      })),
      hosts: hostsIn(servers),
    };
  }

  async function change(how: () => Promise<unknown>): Promise<void> {
    try {
      await how();
    } finally {
      reading = null;
      await read();
    }
  }

  async function setUpstream(upstream: Upstream, key: string | undefined): Promise<void> {
    const url = readServerUrl(upstream.url, origin);
    const { url: before } = upstreamIn(await read(), upstream.dialect);
    if (url === '' && upstream.rule !== 'never')
      throw new AppError('invalid_request', 'Enter the address of the server first.');
    // A key is for one server: entered for another, it would be given away.
    const isOther = before !== '' && (url === '' || new URL(url).origin !== new URL(before).origin);
    const kept = key ?? (isOther ? '' : undefined);
    if (kept !== undefined) await keys.put(keyOfUpstream(upstream.dialect), kept.trim());
    await change(() => store.putUpstream({ ...upstream, url }));
  }

  /** @returns the outcome, for people */
  async function test(name: string): Promise<string> {
    const { service } = findService(name);
    const upstream = upstreamIn(await read(), name);
    const host = hostOfUpstream(upstream);
    if (host === null) throw new AppError('invalid_request', 'Enter the address of the server first.');
    const active = await activate(upstream);
    const isPost = service.probe.method === 'POST';
    const response = await forward(active, service, {
      ...service.probe,
      headers: new Headers(isPost ? { 'Content-Type': 'application/json' } : {}),
      body: new TextEncoder().encode(isPost ? '{}' : ''),
      signal: new AbortController().signal,
      timeoutMs: TEST_TIMEOUT_MS,
      origin,
    });
    if (response.status === 404)
      throw new AppError(
        'remote_failed',
        `The server ${host} has no ${service.probe.path}: check the address, and that its API is on.`,
      );
    if (isRefusal(response.status)) throw refusalOf(active, service, response.status);
    const problem = problemIn(await response.text());
    if (problem !== null) throw new AppError('remote_failed', `The server ${host} says: ${problem}`);
    return `${host} answers, and lets this page read it.`;
  }

  async function answer(question: ServersQuestion): Promise<string | undefined> {
    switch (question.ask) {
      case 'list':
        return undefined;
      case 'set-upstream':
        await setUpstream(question.upstream, question.key);
        return undefined;
      case 'set-host': {
        const host = readHost(question.host.host, origin);
        await change(() => store.putHost({ ...question.host, host }));
        return undefined;
      }
      case 'remove-host':
        await change(() => store.removeHost(question.host));
        return undefined;
      case 'test':
        return test(question.dialect);
    }
  }

  return {
    /** Begins to read what is kept, so that it is known when a request comes. */
    prepare: (): void => void read().catch(() => undefined),

    /** The upstream of a dialect; null where its rule is never. Without storage, every request is this tab's. */
    async upstreamOf(dialect: string): Promise<ActiveUpstream | null> {
      try {
        const upstream = upstreamIn(await read(), dialect);
        return upstream.rule === 'never' || upstream.url === '' ? null : await activate(upstream);
      } catch {
        return null;
      }
    },

    /**
     * The dialect in which requests to a client's host are answered here; null where they are not: switched off, or the
     * host is an upstream in use. A promise while that is not known yet.
     */
    dialectAt(host: string): string | null | Promise<string | null> {
      if (known) return dialectIn(known, host);
      return read().then(
        (servers) => dialectIn(servers, host),
        () => null,
      );
    },

    /** Answers a window's question; never rejects. */
    async reply(question: ServersQuestion): Promise<ServersReply> {
      try {
        const message = await answer(question);
        return { servers: await view(), ...(message !== undefined && { message }) };
      } catch (thrown) {
        return { error: toAppError(thrown).toData() };
      }
    },
  };
}

export type OtherServersOfWorker = ReturnType<typeof createOtherServers>;

type ServiceDialect = Dialect & Required<Pick<Dialect, 'service'>>;

function services(): ServiceDialect[] {
  return dialects.filter((dialect): dialect is ServiceDialect => dialect.service !== undefined);
}

/** @throws AppError `not_found` */
function findService(name: string): ServiceDialect {
  const found = services().find((dialect) => dialect.name === name);
  if (!found) throw new AppError('not_found', `There is no API "${name}".`);
  return found;
}

/** The hosts that clients are known to have built in, all off, and the user's own. */
function hostsIn({ hosts }: OtherServers): ListedHost[] {
  const wellKnown = services().flatMap(({ name, service }) =>
    service.hosts.map((host) => ({ host, dialect: name, on: false })),
  );
  const kept = new Map(hosts.map((entry) => [entry.host, entry]));
  const listed = new Set(wellKnown.map(({ host }) => host));
  return [
    ...wellKnown.map((entry) => ({ ...(kept.get(entry.host) ?? entry), isWellKnown: true })),
    ...hosts.filter(({ host }) => !listed.has(host)).map((entry) => ({ ...entry, isWellKnown: false })),
  ];
}

function dialectIn(servers: OtherServers, host: string): string | null {
  const isUpstream = servers.upstreams.some(
    (upstream) => upstream.rule !== 'never' && hostOfUpstream(upstream) === host,
  );
  if (isUpstream) return null;
  return servers.hosts.find((entry) => entry.on && entry.host === host)?.dialect ?? null;
}

/** Services that answer 200 to everything say in the body what is wrong. */
function problemIn(text: string): string | null {
  try {
    const value = parseJson(text);
    if (!isRecord(value) || (value['status'] !== 'error' && value['status'] !== false)) return null;
    const message = value['message'];
    return typeof message === 'string' ? message : 'an error';
  } catch {
    return null;
  }
}
