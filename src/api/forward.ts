import { toBase64 } from '#codecs/base64.ts';
import { isRecord, parseJson, stringifyJson } from '#codecs/json.ts';
import type { KeyPlace } from '#protocol/api-event.ts';
import { AppError } from '#protocol/error.ts';
import type { Upstream } from '#protocol/other-servers.ts';

/** What is known about the real servers of an API. */
export interface Service {
  keyPlace: KeyPlace;
  /** What its key is, for people. */
  keyTitle: string;
  /** A request that changes nothing and costs nothing, answered only if server and key are right. */
  probe: { method: 'GET' | 'POST'; path: string };
  /** A sentence: how its server is made to answer pages of other sites. */
  allowSites: (origin: string) => string;
  /** Hosts that its clients have built in. */
  hosts: readonly string[];
}

/** An upstream in use. */
export interface ActiveUpstream extends Upstream {
  key: string | null;
}

/** A request as it is sent on. */
export interface SentRequest {
  method: string;
  /** From the service's root, with its query. */
  path: string;
  headers: Headers;
  body: Uint8Array<ArrayBuffer>;
  /** Aborts when nobody waits for the answer any more. */
  signal: AbortSignal;
  /** Milliseconds that the server has to begin its answer. */
  timeoutMs: number;
  /** The origin that the server is asked from. */
  origin: string;
}

/** The headers that mean something to a service. Every other one would have to be allowed by its CORS rules. */
const FORWARDED_HEADERS = ['Accept', 'Authorization', 'Content-Type', 'X-API-Key'];

/**
 * Marks a request that has been forwarded once, for bridges that lead back to this app: it is not forwarded again. A
 * private language, because CORS lets every site send this header; one of our own would need the server's permission.
 */
const MARK = 'x-vitrine';

/** Headers of an answer that are about its transfer, which is over. */
const TRANSFER_HEADERS = ['Content-Encoding', 'Content-Length', 'Transfer-Encoding', 'Connection'];

/** Answers below 500 by which a server says that it will not do it either, rather than what is wrong with the request. */
const REFUSALS: ReadonlySet<number> = new Set([401, 403, 404, 405, 408, 429]);

/** Whether a server's answer leaves the request without a result that another could not give. */
export function isRefusal(status: number): boolean {
  return status >= 500 || REFUSALS.has(status);
}

/** Whether a request comes from a server that this app, or one like it, has forwarded it to. */
export function isForwarded(request: Request): boolean {
  return request.headers.get('Accept-Language')?.includes(MARK) ?? false;
}

/**
 * Sends a request on to a real server of its API; its answer comes back as it is, streamed.
 * @throws AppError `remote_failed` that says why there is no answer and what to do about it; `cancelled` when the
 *   client has gone
 */
export async function forward(
  upstream: ActiveUpstream,
  service: Service,
  sent: SentRequest,
): Promise<Response> {
  const { headers, body } = withKey(upstream.key, service.keyPlace, sent);
  headers.set('Accept-Language', MARK);
  const late = new AbortController();
  // It limits the wait for the answer's beginning, not the answer.
  const timer = setTimeout(() => late.abort(), sent.timeoutMs);
  try {
    const response = await fetch(upstream.url + sent.path, {
      method: sent.method,
      headers,
      ...(body.length > 0 && { body }),
      signal: AbortSignal.any([sent.signal, late.signal]),
      // Followed, a redirect would take prompt and key to a host that nobody has entered.
      redirect: 'manual',
      credentials: 'omit',
      cache: 'no-store',
      referrerPolicy: 'no-referrer',
    });
    if (response.type === 'opaqueredirect' || (response.status >= 300 && response.status < 400))
      throw failure(upstream, 'redirects to another address. Enter that address in Settings.');
    const kept = new Headers(response.headers);
    for (const name of TRANSFER_HEADERS) kept.delete(name);
    const { status, statusText } = response;
    return new Response(response.body, { status, statusText, headers: kept });
  } catch (thrown) {
    if (thrown instanceof AppError) throw thrown;
    if (sent.signal.aborted) throw new AppError('cancelled', 'The request was cancelled.', { cause: thrown });
    if (late.signal.aborted) {
      const words = `has not begun to answer within ${sent.timeoutMs / 1000} s. Check that it is running and not busy.`;
      throw failure(upstream, words, { status: 504, cause: thrown });
    }
    throw await explain(upstream, service, sent.origin, thrown);
  } finally {
    clearTimeout(timer);
  }
}

/** The failure of an upstream whose answer is a refusal. */
export function refusalOf(upstream: ActiveUpstream, service: Service, status: number): AppError {
  if (status === 401 || status === 403)
    return failure(upstream, `refused the request (${status}). Check its ${service.keyTitle} in Settings.`);
  return failure(upstream, `answered ${status}.`);
}

function failure(
  { url }: Upstream,
  words: string,
  { status, cause }: { status?: number; cause?: unknown } = {},
): AppError {
  return new AppError('remote_failed', `The server ${new URL(url).host} ${words}`, {
    cause,
    ...(status !== undefined && { detail: { status } }),
  });
}

function withKey(
  key: string | null,
  place: KeyPlace,
  sent: SentRequest,
): { headers: Headers; body: Uint8Array<ArrayBuffer> } {
  const headers = new Headers();
  for (const name of FORWARDED_HEADERS) {
    const value = sent.headers.get(name);
    if (value !== null) headers.set(name, value);
  }
  if (key === null) return { headers, body: sent.body };
  switch (place) {
    case 'basic':
      headers.set('Authorization', `Basic ${toBase64(new TextEncoder().encode(key))}`);
      break;
    case 'bearer':
      headers.set('Authorization', `Bearer ${key}`);
      break;
    case 'x-api-key':
      headers.set('X-API-Key', key);
      break;
    case 'body':
      return { headers, body: withKeyInBody(key, sent.body) };
  }
  return { headers, body: sent.body };
}

/** A body that is not a JSON object stays as it is: the server says what is wrong with it. */
function withKeyInBody(key: string, body: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  try {
    const value = parseJson(new TextDecoder().decode(body));
    return isRecord(value) ? new TextEncoder().encode(stringifyJson({ ...value, key })) : body;
  } catch {
    return body;
  }
}

/** Why a fetch failed, which browsers do not say, as far as it can be found out. */
async function explain(
  upstream: ActiveUpstream,
  service: Service,
  origin: string,
  cause: unknown,
): Promise<AppError> {
  const url = new URL(upstream.url);
  if (origin.startsWith('https:') && url.protocol === 'http:' && !isLoopback(url.hostname)) {
    const words =
      'has no TLS, and browsers block such servers on pages served over https. Give it a certificate and enter its ' +
      'https address, or open Vitrine from http://localhost.';
    return failure(upstream, words, { cause });
  }
  const allow = service.allowSites(origin);
  const local =
    isPrivate(url.hostname) && !isLoopback(new URL(origin).hostname)
      ? ' It is in a local network: allow this site to reach local devices in the browser’s site settings.'
      : '';
  // A server that answers without allowing other sites does answer a `no-cors` request, whose body cannot be read.
  const answers = await fetch(upstream.url, {
    mode: 'no-cors',
    credentials: 'omit',
    signal: AbortSignal.timeout(5_000),
  }).then(
    () => true,
    () => false,
  );
  return failure(
    upstream,
    answers
      ? `broke off, or does not let this page read its answers (CORS). ${allow}`
      : `cannot be reached, or broke off, or does not let this page read its answers (CORS). Check that it is running. ${allow}${local}`,
    { cause },
  );
}

function isLoopback(hostname: string): boolean {
  return /^(localhost|127(\.\d+){3}|\[::1\])$|\.localhost$/.test(hostname);
}

/** Addresses that browsers take for a local network's. */
function isPrivate(hostname: string): boolean {
  return (
    isLoopback(hostname) ||
    /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|169\.254\.|\[f[cd])/.test(hostname) ||
    hostname.endsWith('.local')
  );
}
