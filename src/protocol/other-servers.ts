import { AppError, type ErrorData } from './error.ts';

/** When requests of a dialect go to its upstream: `cannot` when this tab cannot, `queue` also when its queue is long. */
export type ForwardRule = 'never' | 'cannot' | 'queue' | 'always';

/** A real server of a dialect's API, which may answer in this tab's place. Its key is kept elsewhere. */
export interface Upstream {
  /** The dialect's name. */
  dialect: string;
  /** Its base URL without a slash at the end; empty where there is none. */
  url: string;
  rule: ForwardRule;
  /** For the rule `queue`: how many jobs may be unfinished here before a request is forwarded. */
  longerThan: number;
}

/** A host that clients have built in, whose API paths this app can answer in its place. */
export interface ClientHost {
  /** With its port, where it has one: `127.0.0.1:7860`. */
  host: string;
  /** The dialect's name. */
  dialect: string;
  on: boolean;
}

/** A client's host in the settings; well-known ones are listed without having been entered. */
export interface ListedHost extends ClientHost {
  isWellKnown: boolean;
}

/** What is kept about other servers. */
export interface OtherServers {
  upstreams: readonly Upstream[];
  hosts: readonly ClientHost[];
}

/** An API and its upstream, for the settings. */
export interface ApiServer {
  title: string;
  /** What the service calls a key, for people. */
  keyTitle: string;
  hasKey: boolean;
  upstream: Upstream;
}

/** All that the settings show. Keys are never among it: they can be replaced, not read. */
export interface ServersView {
  apis: readonly ApiServer[];
  hosts: readonly ListedHost[];
}

/** What a window may ask of the service worker, which keeps these settings and is the only one to use them. */
export type ServersQuestion =
  | { ask: 'list' }
  /** Without `key`, the key stays; an empty one deletes it. */
  | { ask: 'set-upstream'; upstream: Upstream; key?: string }
  | { ask: 'set-host'; host: ClientHost }
  | { ask: 'remove-host'; host: string }
  /** Sends a request that changes nothing. */
  | { ask: 'test'; dialect: string };

/** Window → service worker, with a port for the {@link ServersReply}. */
export interface AskServers {
  type: 'vitrine-servers';
  question: ServersQuestion;
}

/** `message` is the outcome of a test. */
export type ServersReply = { servers: ServersView; message?: string } | { error: ErrorData };

/** The name under which an upstream's key is kept. */
export function keyOfUpstream(dialect: string): string {
  return `upstream.${dialect}`;
}

/** The host of an upstream, with its port; null where there is none. */
export function hostOfUpstream({ url }: Pick<Upstream, 'url'>): string | null {
  return url === '' ? null : new URL(url).host;
}

/**
 * A base URL as it is kept.
 * @param own origin of this app, which would ask itself
 * @throws AppError `invalid_request`
 */
export function readServerUrl(text: string, own: string): string {
  const typed = text.trim();
  if (typed === '') return '';
  const url = parseUrl(/^[a-z]+:\/\//i.test(typed) ? typed : `http://${typed}`);
  if (!url || !/^https?:$/.test(url.protocol))
    throw wrong('Enter an address such as http://127.0.0.1:7860 or https://example.com.');
  if (url.username !== '' || url.password !== '')
    throw wrong('Leave user name and password out of the address: enter them as the key.');
  if (url.search !== '' || url.hash !== '')
    throw wrong('Leave out what follows ? or #: the address is that of the server, without parameters.');
  if (url.origin === own)
    throw wrong('This is the address of Vitrine itself. Enter the address of another server.');
  return url.origin + url.pathname.replace(/\/+$/, '');
}

/** A client's host as it is kept: `modelslab.com`, `127.0.0.1:7860`. @throws AppError `invalid_request` */
export function readHost(text: string, own: string): string {
  const typed = text.trim().replace(/^https?:\/\//i, '');
  // The port that a scheme implies is dropped by URLs of that scheme, as it is in those that clients fetch.
  const url = parseUrl(`https://${typed.replace(/\/+$/, '')}`);
  if (!url || url.pathname !== '/' || url.search !== '' || url.hash !== '' || url.username !== '')
    throw wrong('Enter a host, with its port if it has one: example.com or 127.0.0.1:7860.');
  if (url.host === new URL(own).host)
    throw wrong('This is the host of Vitrine itself, whose API paths are answered already.');
  return url.host;
}

function parseUrl(text: string): URL | null {
  return URL.canParse(text) ? new URL(text) : null;
}

function wrong(message: string): AppError {
  return new AppError('invalid_request', message);
}
