import type { ApiBodies } from '#protocol/api-event.ts';
import type { Dialect } from './route.ts';

/** Larger bodies are not reported. */
const MOST_BYTES = 8_000_000;

/** Services on this machine, which have no certificate. */
const LOCAL = /^(?:localhost|127\.|\[::1\])/;

interface Reported {
  id: string;
  dialect: Dialect;
  request: Request;
  /** The request's path below the app's folder. */
  path: string;
  /** The request's body, if it was read. */
  bytes: Uint8Array<ArrayBuffer> | null;
  /** A copy of the answer of its own. */
  response: Response;
}

/** What a request and its answer carried. Blobs: every page of the app gets them, and none a copy. */
export async function reportedBodies({
  id,
  dialect,
  request,
  path,
  bytes,
  response,
}: Reported): Promise<ApiBodies> {
  const { prefix, service } = dialect;
  const own = prefix !== null && path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : path;
  const target = own + new URL(request.url).search;
  const host = service?.hosts[0];
  return {
    phase: 'bodies',
    id,
    target,
    requestType: request.headers.get('Content-Type'),
    request: bytes && bytes.length > 0 && bytes.length <= MOST_BYTES ? new Blob([bytes]) : null,
    response: isKept(response) ? await response.blob() : null,
    service:
      service && host !== undefined
        ? { url: `${LOCAL.test(host) ? 'http' : 'https'}://${host}${target}`, keyPlace: service.keyPlace }
        : null,
  };
}

/** Whether an answer is short enough, which it says in its headers; one that is streamed does not. */
export function isKept(response: Response): boolean {
  const length = response.headers.get('Content-Length');
  return length !== null && Number(length) <= MOST_BYTES;
}
