import { dialects } from '#api/dialects/index.ts';
import type { Api } from '#api/index.ts';
import type { OtherServersOfWorker } from './other-servers.ts';

interface Parts {
  api: Pick<Api, 'fetch' | 'ownsPathOf'>;
  servers: Pick<OtherServersOfWorker, 'dialectAt'>;
  /** The address of the app's folder. */
  base: URL;
}

/**
 * The answer to a page's request to another host, if clients have that host built in and the user has this app answer for
 * it; null for everything else, which takes its own way. A service worker sees such a request before its preflight, and
 * an answer from here needs none: `OPTIONS` never arrives.
 *
 * A fetch event has to be decided at once, but a worker that has just been started has not read its settings yet. Only in
 * that moment, and only for calls to paths that are an API's, the decision is put off: the request goes out
 * from here if it is not for us after all.
 */
export function answerForHost(request: Request, { api, servers, base }: Parts): Promise<Response> | null {
  const { host, pathname } = new URL(request.url);
  // What scripts call; images, scripts and pages of such a host are its own.
  if (request.mode !== 'cors' || request.destination !== '') return null;
  const owner = servers.dialectAt(host);
  if (owner === null) return null;
  if (typeof owner === 'string')
    return api.ownsPathOf(owner, pathname) ? answerHere(request, owner, api, base) : null;
  if (!dialects.some(({ name }) => api.ownsPathOf(name, pathname))) return null;
  return owner.then((name) =>
    name !== null && api.ownsPathOf(name, pathname) ? answerHere(request, name, api, base) : fetch(request),
  );
}

/** As if it had been sent to the app's own address, under the dialect's prefix; links of the answer lead here. */
async function answerHere(request: Request, name: string, api: Parts['api'], base: URL): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  const prefix = dialects.find((dialect) => dialect.name === name)?.prefix ?? '';
  const url = new URL(`.${prefix}${pathname}${search}`, base);
  const { method, headers, signal } = request;
  const body = await request.arrayBuffer();
  return api.fetch(new Request(url, { method, headers, signal, ...(body.byteLength > 0 && { body }) }));
}
